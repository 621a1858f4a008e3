-- The request of every load: a new task each time, so that no answer can be kept and given again.
-- Options, as NAME=VALUE: `prefer`, the value of the Prefer header; `journaled` for scripts with one call that is written
-- into the ledger; `after`, the number before the first request's. Prints one line of JSON at the end.
local threads = {}

function setup(thread)
   table.insert(threads, thread)
end

function init(args)
   sent, after = 0, 0
   wrk.headers["Content-Type"] = "application/json"
   for _, argument in ipairs(args) do
      local name, value = argument:match("^(%w+)=(.*)$")
      if name == "prefer" then
         wrk.headers["Prefer"] = value
      elseif name == "journaled" then
         journaled = true
      elseif name == "after" then
         after = tonumber(value)
      end
   end
end

function request()
   sent = sent + 1
   local number = after + sent
   local body = '{"task": "What is ' .. number .. ' times ' .. (number % 97 + 2) .. '?"}'
   if journaled then
      body = '{"task": "```python\\nfrom skills import product\\nproduct(' .. number .. ', ' .. (number % 97 + 2) .. ')\\n```"}'
   end
   return wrk.format("POST", nil, nil, body)
end

function done(summary, latency, requests)
   local total = 0
   for _, thread in ipairs(threads) do
      total = total + thread:get("sent")
   end
   local e = summary.errors
   io.write(string.format(
      '{"answered": %d, "sent": %d, "seconds": %.6f, "refused": %d, "broken": %d, "p50_ms": %.3f, "p99_ms": %.3f}\n',
      summary.requests, total, summary.duration / 1e6, e.status, e.connect + e.read + e.write + e.timeout,
      latency:percentile(50) / 1000, latency:percentile(99) / 1000))
end
