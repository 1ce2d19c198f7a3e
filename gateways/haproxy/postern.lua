-- Asks /verify about a request: "http-request lua.postern <address> <role>", with "-" for no role.
-- Sets txn.postern_status, txn.postern_challenge and txn.postern_problem, and on 200 the identity headers of the request.

local TIMEOUT_MILLISECONDS = 500 -- for each of the four attempts of HAProxy 2.6
local IDENTITY = { "x-auth-subject", "x-auth-session", "x-auth-roles", "x-auth-token-id" }
local PASSED_ON = { "authorization", "origin", "access-control-request-method", "x-request-id", "traceparent" }

-- The subrequest has no body, and only the headers that /verify reads. It repeats a header that was sent twice, because
-- Postern refuses two tokens.
local function subrequest_headers(txn, postern)
  local given = txn.http:req_get_headers()
  local headers = {
    ["host"] = { postern },
    ["x-forwarded-for"] = { txn.f:src() },
    ["x-forwarded-method"] = { txn.f:method() }
  }
  for _, name in ipairs(PASSED_ON) do
    if given[name] then
      local values = {}
      for _, value in pairs(given[name]) do table.insert(values, value) end
      headers[name] = values
    end
  end
  return headers
end

local function verify(txn, postern, role)
  txn:set_var("txn.postern_status", 503)
  local query = role == "-" and "" or "?role=" .. role

  local answer = core.httpclient():get({
    url = "http://" .. postern .. "/verify" .. query,
    headers = subrequest_headers(txn, postern),
    timeout = TIMEOUT_MILLISECONDS
  })
  if not answer then return end

  if answer.status == 200 then
    for _, name in ipairs(IDENTITY) do
      if not answer.headers[name] then return end -- not a response of Postern
      txn.http:req_set_header(name, answer.headers[name][0])
    end
  end
  local challenge = answer.headers["www-authenticate"]
  if challenge then txn:set_var("txn.postern_challenge", challenge[0]) end
  txn:set_var("txn.postern_problem", answer.body or "")
  txn:set_var("txn.postern_status", answer.status)
end

core.register_action("postern", { "http-req" }, verify, 2)
