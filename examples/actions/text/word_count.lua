return tools.define_tool({
  source = "./programs",
  entrypoint = "word_count.sh",
  type = "shell",
  executor = "native",
  input_adapter = "positional_args",
  args_order = { "text" },
  output_adapter = "lines",
  schema = { input = { text = "string" }, output = { lines = "array" } },
})
