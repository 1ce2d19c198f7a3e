-- Takes off a request whatever header a service might take for one of Postern's: X-Auth-…, and X_Auth_…, X.Auth.… and the
-- like, which many services read as the same name. Apache's own directives drop headers by their exact names alone.

function strip(r)
  for name in pairs(r:headers_in_table()) do
    if name:lower():match("^x[^a-z0-9]auth") then r.headers_in[name] = nil end
  end
  return apache2.DECLINED
end
