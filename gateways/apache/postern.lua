-- Removes every request header that a service may read as one of Postern's: X-Auth-…, X_Auth_…, X.Auth.… and so on. Apache's
-- own directives remove headers by their exact names only.

function strip(r)
  for name in pairs(r:headers_in_table()) do
    if name:lower():match("^x[^a-z0-9]auth") then r.headers_in[name] = nil end
  end
  return apache2.DECLINED
end
