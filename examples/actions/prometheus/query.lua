---@class PrometheusQuery
---@field query string PromQL
---@field range? string How far back: "7d"
---@field endpoint? string Where Prometheus answers
---@field step? string Time between two values

--- Asks Prometheus; here a sample file that answers like it.
---@param params PrometheusQuery
---@return { tenant: string, value: number }[]
return define_action({
  source = "./programs",
  entrypoint = "query.py",
  executor = "native",
  -- What holds for the whole company stands here, not in scripts.
  defaults = { endpoint = "sample://metrics", step = "5m" },
  timeout = 60,
  schema = { input = { query = "string", range = "string?" } },
})
