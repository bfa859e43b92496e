local ok, data = pcall(actions.prometheus.query, { query = "up", endpoint = "http://gone" })

if not ok then
  print("query failed:", data)
  data = {}
end

print(#data)
local words = kit.text.word_count({ text = "to be or not to be" })
pp(words)
actions.prometheus.query({ query = "up", endpoint = "http://gone" })
