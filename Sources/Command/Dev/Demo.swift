import AsyncHTTPClient
import Foundation
import LocalStack
import NIOCore
import NIOHTTP1
import Postgres

/// The story of the seed: two clients write one key at once, and the one who came last wins.
struct Demo: Sendable {
    private static let key = "demo"
    private static let events = Statement(
        name: "demo_events",
        sql: """
            select h.id, h.at, h.event::text, h.job_id, h.fence, coalesce(w.name, 'worker ' || h.worker_id) as worker
            from holdfast.lock_history h
            left join holdfast.workers w on w.id = h.worker_id
            where h.job_id = any($1) and h.id > $2
            order by h.id
            """
    )

    private static let unfinished = Statement(
        name: "demo_unfinished",
        sql: "select count(*) from holdfast.jobs where id = any($1)"
    )

    private let ready: DevStack.Ready

    init(_ ready: DevStack.Ready) { self.ready = ready }

    func run() async throws {
        say("\nTwo clients write the key '\(Self.key)' at once; each write is followed by 3 seconds of work.\n")
        let start = ContinuousClock.now
        let first = try await submit("A", "client 1", since: start)
        let second = try await submit("B", "client 2", since: start)
        var seen: Int64 = 0
        var unfinished = 2
        while unfinished > 0 {
            // Asked for before the events, so that none is missed.
            unfinished = try await ready.pool.execute(Self.unfinished, [.int64s([first, second])])[0].decode(at: 0)
            for row in try await ready.pool.execute(Self.events, [.int64s([first, second]), .int64(seen)]) {
                seen = try row.decode(Int64.self, at: 0)
                let event = try row.decode(String.self, at: 2)
                let job = try row.decode(Int64.self, at: 3)
                let fence = try row.decode(Int64.self, at: 4)
                let worker = try row.decode(String.self, at: 5)
                let value = job == first ? "A" : "B"
                line(since: start, "\(worker)  \(event) the lock for job \(job) (value \(value)), fence \(fence)")
            }
            try await Task.sleep(for: .milliseconds(50))
        }
        let value = try await ready.get("/getValue/\(Self.key)")
        line(since: start, "the key's value is \(value): what was submitted last has won")
        say(
            """

            The database tells it again:
              psql '\(ready.servers.databaseURL)' -c "select acquired_at, ended_at, ended_by, job_id, fence, worker_id \
            from holdfast.lock_holds where lock_key = '\(Self.key)' order by acquired_at"

            Everything still runs. Ctrl-C stops it.
            """
        )
    }

    private func submit(_ value: String, _ client: String, since start: ContinuousClock.Instant) async throws -> Int64 {
        let body = #"{"key":"\#(Self.key)","value":"\#(value)","durationMs":3000}"#
        let answer = try await ready.post("/v1/jobs", body)
        struct Job: Decodable { let id: Int64 }
        let id = try JSONDecoder().decode(Job.self, from: Data(answer.utf8)).id
        line(since: start, "\(client)  POST /v1/jobs \(body) is stored as job \(id)")
        return id
    }

    private func line(since start: ContinuousClock.Instant, _ text: String) {
        let seconds = start.duration(to: .now) / .seconds(1)
        say(String(format: "%6.2f s  ", seconds) + text)
    }

    /// On standard error: standard output may be a script's.
    private func say(_ text: String) { Progress(isQuiet: false).say(text) }
}

extension DevStack.Ready {
    fileprivate func post(_ path: String, _ body: String) async throws -> String {
        var request = HTTPClientRequest(url: intake + path)
        request.method = .POST
        request.body = .bytes(ByteBuffer(string: body))
        return try await send(request)
    }

    fileprivate func get(_ path: String) async throws -> String {
        try await send(HTTPClientRequest(url: intake + path))
    }

    private func send(_ request: HTTPClientRequest) async throws -> String {
        let response = try await HTTPClient.shared.execute(request, timeout: .seconds(10))
        let text = String(buffer: try await response.body.collect(upTo: 1 << 20))
        guard (200...299).contains(response.status.code) else {
            throw DevStack.Failure(description: "the intake answered \(response.status.code): \(text)")
        }
        return text
    }
}
