return { quiet_periods = require("analysis.quiet_periods") }
