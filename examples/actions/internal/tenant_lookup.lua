return define_action({ source = "./programs", entrypoint = "tenant_lookup.mjs", executor = "native" })
