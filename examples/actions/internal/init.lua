return {
  list_tenants = require("internal.list_tenants"),
  tenant_lookup = require("internal.tenant_lookup"),
}
