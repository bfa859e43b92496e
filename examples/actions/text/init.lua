-- The later words of Kael: kit, tools.define_tool, adapters.
return { word_count = require("text.word_count") }
