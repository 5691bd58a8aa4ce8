-- For wrk: send the requests of a file in turn. The file holds one header line a request.
local requests, turn = {}, 0

function init(arguments)
  for line in io.lines(arguments[1]) do
    local name, value = line:match("^(.-): (.*)$")
    requests[#requests + 1] = wrk.format("GET", nil, { [name] = value, ["Host"] = "127.0.0.1" })
  end
end

function request()
  turn = turn % #requests + 1
  return requests[turn]
end
