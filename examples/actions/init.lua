-- The root of an actions repository: what it returns is `actions` in workflows and scripts.
return {
  prometheus = require("prometheus"),
  analysis = require("analysis"),
  internal = require("internal"),
  text = require("text"),
}
