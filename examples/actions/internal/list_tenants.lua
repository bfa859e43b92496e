return define_action({ source = "./programs", entrypoint = "tenants.mjs", executor = "native" })
