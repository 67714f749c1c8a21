-- wrk's requests: receipts in the page's form, no two alike. wrk … -s postbacks.lua URL -- FIRST
-- Thread t posts FIRST + t, FIRST + t + THREADS, …; the last line of the output is JSON.
local threads = {}

function setup(thread)
  thread:set("place", #threads)
  table.insert(threads, thread)
end

function init(args)
  number = tonumber(args[1]) + place * 100000000
  head = "POST " .. wrk.path .. " HTTP/1.1\r\nHost: receiver\r\nContent-Type: application/xml\r\nContent-Length: "
end

function request()
  number = number + 1
  local micros = number % 1000000
  local body = string.format(
    '<NOTIFICATION ID="%d" CREATED="2026-03-01 10:22:%02d.%06d-04">\n\t<ORIGIN>SMS_MT</ORIGIN>\n\t<CODE>N201</CODE>\n'
      .. '\t<BODY>\n\t<HISTORYID>%d</HISTORYID>\n\t<TO>1555%09d</TO>\n\t<TRACKINGID>SMS_MT_%d</TRACKINGID>\n'
      .. '\t<STATUS PROTOCOL="4" STATUS="0"/>\n\t<TIMESTAMP>2026-03-01 10:22:%02d.%06d-04</TIMESTAMP>\n'
      .. '\t</BODY>\n</NOTIFICATION>\n',
    number, number % 60, micros, number, number, number, (number + 7) % 60, micros)
  return head .. #body .. "\r\n\r\n" .. body
end

function done(summary, latency, _)
  local errors = summary.errors
  io.write(string.format(
    '\n{"requests": %d, "seconds": %.6f, "refused": %d, "broken": %d, "p99_ms": %.3f}\n',
    summary.requests, summary.duration / 1000000, errors.status,
    errors.connect + errors.read + errors.write + errors.timeout, latency:percentile(99) / 1000))
end
