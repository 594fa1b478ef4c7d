import Holdfast
import Postgres
import Randomness
import Synchronization
import TestSupport
import Testing

@Suite(.freshDatabase, .timeLimit(.minutes(3)))
struct WhoHeldTests {
    /// A span of time in which a key was held by a job, or by nobody, as those saw it who were there.
    private struct Span: Sendable {
        let key: String
        /// `nil` when the line was empty, and nobody can have held the key.
        let number: Int?
        /// Microseconds of the database's clock; both belong to it.
        let from: Int64
        let to: Int64
    }

    private struct Probe {
        let span: Span
        let at: Int64
    }

    private final class Trace: Sendable {
        private let spans = Mutex<[Span]>([])

        func add(_ span: Span) { spans.withLock { $0.append(span) } }
        var all: [Span] { spans.withLock { $0 } }
    }

    private static let probes = 10_000

    private static func now(_ pool: PostgresPool) async throws -> Int64 {
        try await pool.execute(
            Statement(name: "now", sql: "select (extract(epoch from clock_timestamp()) * 1000000)::bigint")
        )[0].decode(Int64.self, at: 0)
    }

    @Test
    func `who held a key is whom its workers saw there, at 10,000 random moments`() async throws {
        let pool = FreshDatabase.current.pool
        let trace = Trace()
        let handler = Scripted { payload, context in
            let from = try await Self.now(pool)
            try await Task.sleep(for: .milliseconds(20 + payload.number % 4))
            trace.add(Span(key: "\(context.key)", number: payload.number, from: from, to: try await Self.now(pool)))
        }
        try await TestWorkers.with { workers in
            let jobs = try await workers.withWorker(handler) {
                try await workers.withWorker(handler) { try await work(workers, trace) }
            }
            let spans = trace.all
            #expect(spans.filter { $0.number != nil }.count == jobs.count)
            let seed = UInt64.random(in: 0...UInt64.max)
            var random = SeededRandom(state: seed)
            // The first moment of each hold too, and random ones within it and within the gaps.
            let first = spans.filter { $0.number != nil }.map { Probe(span: $0, at: $0.from) }
            let probes =
                first
                + (0..<Self.probes).map { _ in
                    let span = spans.randomElement(using: &random)!
                    return Probe(span: span, at: .random(in: span.from...span.to, using: &random))
                }
            let answers = try await answers(to: probes, from: pool)
            #expect(answers.count == probes.count)
            let answered = Array(zip(probes, answers))
            func holder(_ probe: Probe) -> [Int64] {
                probe.span.number.flatMap { jobs[$0] }.map { [$0.rawValue] } ?? []
            }
            // What is recorded is a part of the true hold: its end may be dated somewhat before the true one, and nobody
            // is named then; another is never named.
            let wrong = answered.filter { probe, answer in answer != holder(probe) && !answer.isEmpty }
            #expect(wrong.isEmpty, "\(wrong.count) with seed \(seed), the first: \(String(describing: wrong.first))")
            let inside = answered.dropFirst(first.count).filter { $0.0.span.number != nil }
            #expect(inside.count { $1 == holder($0) } * 2 > inside.count)
            // A hold has begun by its first moment. That nobody is named then is right only if its end is dated before it.
            let unnamed = answered.prefix(first.count).filter { $1.isEmpty }.map(\.0)
            #expect(try await ended(unnamed, jobs, from: pool) == unnamed.count)
            #expect(probes.contains { $0.span.number == nil } && probes.contains { $0.span.number != nil })
        }
    }

    /// Keeps five keys busy, with breaks; returns the jobs by their numbers.
    private func work(_ workers: TestWorkers, _ trace: Trace) async throws -> [Int: JobID] {
        let pool = workers.database.pool
        return try await withThrowingTaskGroup(of: [Int: JobID].self) { group in
            for key in 0..<5 {
                group.addTask {
                    var jobs: [Int: JobID] = [:]
                    for round in 0..<12 {
                        // The line is empty, and stays so until the next job is submitted.
                        let from = try await Self.now(pool)
                        try await Task.sleep(for: .milliseconds(2))
                        trace.add(Span(key: "k\(key)", number: nil, from: from, to: try await Self.now(pool)))
                        let numbers = (0...round % 4).map { (key * 100 + round) * 10 + $0 }
                        for number in numbers { jobs[number] = try await workers.submit("k\(key)", number) }
                        for number in numbers { _ = try await workers.outcome(of: jobs[number]!) }
                    }
                    return jobs
                }
            }
            return try await group.reduce(into: [:]) { $0.merge($1) { $1 } }
        }
    }

    /// How many of the probes are after the recorded hold of their job.
    private func ended(_ probes: [Probe], _ jobs: [Int: JobID], from pool: PostgresPool) async throws -> Int {
        try await pool.execute(
            Statement(
                name: "ended",
                sql: """
                    select count(*)
                    from unnest($1::bigint[], $2::bigint[]) as p(job, at)
                    join holdfast.lock_holds h on h.job_id = p.job
                        and h.ended_at <= 'epoch'::timestamptz + p.at * interval '1 microsecond'
                    """,
                isPrepared: false
            ),
            [.int64s(probes.map { $0.span.number.flatMap { jobs[$0] }?.rawValue ?? 0 }), .int64s(probes.map(\.at))]
        )[0].decode(Int.self, at: 0)
    }

    /// The jobs that held the key of each probe.
    private func answers(to probes: [Probe], from pool: PostgresPool) async throws -> [[Int64]] {
        let rows = try await pool.execute(
            Statement(
                name: "probes",
                sql: """
                    select (select string_agg(h.job_id::text, ',') from holdfast.who_held(
                                p.key, 'epoch'::timestamptz + p.at * interval '1 microsecond') h)
                    from unnest($1::text[], $2::bigint[]) with ordinality as p(key, at, place)
                    order by p.place
                    """,
                isPrepared: false
            ),
            [.texts(probes.map(\.span.key)), .int64s(probes.map(\.at))],
            within: .seconds(120)
        )
        return try rows.map { row in
            try row.decodeIfPresent(String.self, at: 0)?.split(separator: ",").compactMap { Int64($0) } ?? []
        }
    }
}
