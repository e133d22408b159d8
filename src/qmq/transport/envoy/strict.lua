-- Refuses what the transcoder after this filter would let pass in silence: fields that
-- no message has, an empty body where one is needed, a path with an empty segment, a
-- path's variable given in the query once more, a parameter given twice.
--
-- Put before this text are: ROUTES, a list of {method, pattern of the path, message type
-- of the body or "", set of the names that the path binds, set of those that the query may
-- give more than once}; MESSAGES, by type: the type of each field by its name, "" for what
-- has no fields of its own; DIRECTORIES, the set of paths that may end with a slash;
-- BODY_BYTES_MAX; TOO_LARGE_PATH, where requests with larger bodies go; FOR_EVERY_SITE, and
-- FOREIGN_PATH, where calls of other sites' pages go otherwise.

local DEPTH_MAX = 32

local find, sub = string.find, string.sub

local value

-- Ends the check with a sentence for the caller.
local function refuse(sentence)
  error({sentence = sentence}, 0)
end

local function refuse_syntax(text, at, expected)
  local found = at > #text and "the end of the body" or "'" .. sub(text, at, at) .. "'"
  refuse(string.format("invalid JSON at byte %d: expected %s, found %s", at - 1, expected, found))
end

local function skip_space(text, at)
  return find(text, "[^ \t\r\n]", at) or #text + 1
end

-- Returns the position after a string that starts at `at`.
local function skip_string(text, at)
  local next_at = at + 1
  while true do
    next_at = find(text, '["\\]', next_at)
    if not next_at then
      refuse_syntax(text, #text + 1, "the end of a string")
    end
    if sub(text, next_at, next_at) == '"' then
      return next_at + 1
    end
    next_at = next_at + 2
  end
end

local function object(text, at, type_name, depth)
  local fields = MESSAGES[type_name]
  at = skip_space(text, at + 1)
  if sub(text, at, at) == "}" then
    return at + 1
  end
  while true do
    if sub(text, at, at) ~= '"' then
      refuse_syntax(text, at, "a field name in double quotes")
    end
    local after = skip_string(text, at)
    local name = sub(text, at + 1, after - 2)
    local field_type = fields and fields[name]
    if fields and not field_type then
      refuse(string.format('unknown field "%s" in %s', name, type_name))
    end
    at = skip_space(text, after)
    if sub(text, at, at) ~= ":" then
      refuse_syntax(text, at, "a colon")
    end
    at = skip_space(text, value(text, at + 1, field_type, depth))
    local mark = sub(text, at, at)
    if mark == "}" then
      return at + 1
    elseif mark ~= "," then
      refuse_syntax(text, at, "a comma or a closing brace")
    end
    at = skip_space(text, at + 1)
  end
end

local function array(text, at, type_name, depth)
  at = skip_space(text, at + 1)
  if sub(text, at, at) == "]" then
    return at + 1
  end
  while true do
    at = skip_space(text, value(text, at, type_name, depth))
    local mark = sub(text, at, at)
    if mark == "]" then
      return at + 1
    elseif mark ~= "," then
      refuse_syntax(text, at, "a comma or a closing bracket")
    end
    at = at + 1
  end
end

-- Checks the value that starts at `at` or after, returns the position after it.
function value(text, at, type_name, depth)
  if depth > DEPTH_MAX then
    refuse(string.format("invalid JSON: nested deeper than %d levels", DEPTH_MAX))
  end
  at = skip_space(text, at)
  local mark = sub(text, at, at)
  if mark == "{" then
    return object(text, at, type_name, depth + 1)
  elseif mark == "[" then
    return array(text, at, type_name, depth + 1)
  elseif mark == '"' then
    return skip_string(text, at)
  end
  -- A number or a word: the transcoder reads them, here they only have to end.
  local _, last = find(text, "^[%w+.-]+", at)
  if not last then
    refuse_syntax(text, at, "a value")
  end
  return last + 1
end

local function check(text, type_name)
  local at = skip_space(text, 1)
  if at > #text then
    refuse(string.format("the body is empty; send a JSON object, a %s", type_name))
  elseif sub(text, at, at) ~= "{" then
    refuse(string.format("the body is not a JSON object; send a %s", type_name))
  end
  at = skip_space(text, object(text, at, type_name, 1))
  if at <= #text then
    refuse_syntax(text, at, "the end of the body")
  end
end

-- Returns the route that a request is for, or nil.
local function route_of(method, path)
  for _, route in ipairs(ROUTES) do
    if route[1] == method and find(path, route[2]) then
      return route
    end
  end
  return nil
end

-- Returns what is wrong with a path, or nil.
local function path_problem(path)
  if path ~= "/" and not DIRECTORIES[path] and (sub(path, -1) == "/" or find(path, "//", 1, true)) then
    return "no such path: " .. path .. " has an empty segment or ends with a slash"
  end
  return nil
end

-- Returns what is wrong with a query, or nil. Without a route nothing is known of it.
local function query_problem(query, route)
  local variables = route and route[4] or {}
  local repeatable = route and route[5] or {}
  local given = {}
  for name in string.gmatch(query, "[^?&=]+=?[^&]*") do
    name = string.match(name, "^[^=]*")
    if variables[name] then
      return "the query gives " .. name .. ", which the path has given already"
    elseif find(name, "%", 1, true) then
      return "unknown query parameter " .. name
    elseif given[name] and not repeatable[name] then
      return "the query gives " .. name .. " more than once"
    end
    given[name] = true
  end
  return nil
end

-- Tells whether a page of another site makes a call. Browsers send some calls for any page that
-- somebody looks at, and q on this machine knows nobody: it would do what they say. Programs do
-- not send this header, and no page can leave it out or make it up.
local function is_foreign(headers)
  local site = headers:get("sec-fetch-site")
  return site == "cross-site" or site == "same-site"
end

function envoy_on_request(request)
  local headers = request:headers()
  local full_path = headers:get(":path")
  local path, query = string.match(full_path, "^([^?]*)(.*)$")
  local problem = path_problem(path)
  if problem then
    request:respond({[":status"] = "404"}, problem)
    return
  end
  local route = route_of(headers:get(":method"), path)
  if route and not FOR_EVERY_SITE and is_foreign(headers) then
    -- The application refuses it, after the whole of its body has come.
    headers:replace(":path", FOREIGN_PATH)
    return
  end
  problem = query_problem(query, route)
  if problem then
    request:respond({[":status"] = "400"}, problem)
    return
  end
  if not route or route[3] == "" then
    return
  end
  if tonumber(headers:get("content-length") or 0) > BODY_BYTES_MAX then
    -- The application reads the body to its end and then refuses it: a reply in the
    -- middle would reach few clients, since they are busy sending.
    headers:add("x-envoy-original-path", full_path)
    headers:replace(":path", TOO_LARGE_PATH)
    return
  end
  local body = request:body()
  local text = body and body:getBytes(0, body:length()) or ""
  local fine, refused = pcall(check, text, route[3])
  if fine then
    return
  end
  if type(refused) ~= "table" then
    error(refused, 0)
  end
  request:respond({[":status"] = "400"}, refused.sentence)
end
