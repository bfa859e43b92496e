return { query = require("prometheus.query") }
