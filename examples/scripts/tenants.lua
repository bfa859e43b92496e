local tenants = actions.internal.list_tenants({})
print(#tenants, arg[1])

for _, tenant in ipairs(tenants) do
  print(tenant.name)
end

for _, id in ipairs({ "t-1", "t-9" }) do
  local found = actions.internal.tenant_lookup({ id = id })
  if found.error then
    print("not found:", found.error)
  else
    print("found:", found.name)
  end
end
