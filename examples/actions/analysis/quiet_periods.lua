return define_action({
  source = "./programs",
  entrypoint = "quiet_periods.py",
  executor = "native",
  cache = "1h",
  schema = {
    input = { data = "array", threshold = "number" },
    output = { windows = "array" },
  },
})
