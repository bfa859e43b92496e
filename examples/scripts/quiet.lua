-- signalbox run examples/scripts/quiet.lua --actions examples/actions
local data = actions.prometheus.query({
  query = "sum(rate(http_requests_total[5m])) by (tenant)",
  range = "90d",
})

local filtered = {}
for _, row in ipairs(data) do
  if row.value < 200 then
    table.insert(filtered, row)
  end
end

local result = actions.analysis.quiet_periods({ data = filtered, threshold = 0.2 })

for _, window in ipairs(result.windows) do
  print(window.tenant, window.hour)
end
