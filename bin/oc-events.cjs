#!/usr/bin/env node
require("./launch.cjs")("oc-events");
