import Holdfast
import Postgres
import Randomness
import Redlock
import TestSupport
import Testing

/// What the audit answers about holds that serve several jobs.
@Suite(.freshDatabase, .timeLimit(.minutes(5)))
struct SharedHistoryTests {
    private static let probes = 10_000

    private var database: TestDatabase { FreshDatabase.current }

    /// Writes a history that began two hours ago.
    ///
    /// - Returns: The microsecond at which it began, since 1970.
    @discardableResult
    private func write(_ events: [SharedHistory.Event]) async throws -> Int64 {
        let beginning = Int64(
            try await database.int("select (extract(epoch from clock_timestamp()) * 1000000)::bigint - 7200000000")
        )
        try await database.run(
            """
            insert into holdfast.lock_history (at, event, lock_key, job_id, attempt, fence, worker_id, validity_us, held_us,
                                               jobs, fences)
            select 'epoch'::timestamptz + at * interval '1 microsecond', event::holdfast.lock_event, key, job, 1, fence, 1,
                   validity, held, string_to_array(jobs, ' ')::bigint[], string_to_array(fences, ' ')::bigint[]
            from unnest($1::bigint[], $2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[],
                        $8::text[], $9::text[]) with ordinality
                as e(at, event, key, job, fence, validity, held, jobs, fences, place)
            order by at, place
            """,
            [
                .int64s(events.map { beginning + $0.at }), .texts(events.map(\.event)), .texts(events.map(\.key)),
                .int64s(events.map(\.job)), .int64s(events.map(\.fence)), .optionalInt64s(events.map(\.validity)),
                .optionalInt64s(events.map(\.held)), .optionalTexts(events.map { list($0.jobs) }),
                .optionalTexts(events.map { list($0.fences) }),
            ]
        )
        try await database.run("analyze holdfast.lock_history")
        return beginning
    }

    private func list(_ numbers: [Int64]) -> String? {
        numbers.isEmpty ? nil : numbers.map(String.init).joined(separator: " ")
    }

    @Test
    func `a hold has its end, though that was recorded as if it had been somewhat earlier than the hold`() async throws
    {
        // As by a worker that got no answer when the hold was recorded, and gave it back.
        try await write([
            .init(at: 600, key: "k", event: "released", job: 1, fence: 11, held: 32_000),
            .init(at: 1000, key: "k", event: "acquired", job: 1, fence: 11, validity: 2_000_000),
        ])
        let holds = "select (ended_at - acquired_at)::text from holdfast.lock_holds"
        #expect(try await database.column(String.self, holds) == ["00:00:00"])
        #expect(try await database.int("select count(*)::int from holdfast.unclosed_holds") == 0)
    }

    @Test
    func `parts of a hold follow each other, though their ends were recorded as if they had been earlier`() async throws
    {
        // As over a slow way to the database: both ends are where the hold began, and each had taken some time.
        try await write([
            .init(
                at: 1000,
                key: "k",
                event: "acquired",
                job: 1,
                fence: 11,
                validity: 2_000_000,
                jobs: [1, 2, 3],
                fences: [11, 12, 13]
            ),
            .init(at: 1000, key: "k", event: "passed", job: 1, fence: 11, held: 90_000),
            .init(at: 1000, key: "k", event: "passed", job: 2, fence: 12, held: 30_000),
            .init(at: 5000, key: "k", event: "released", job: 3, fence: 13, held: 40_000),
        ])
        let parts = """
            select concat_ws(' ', fence, extract(epoch from acquired_at - min(acquired_at) over ()) * 1000000,
                             extract(epoch from ended_at - acquired_at) * 1000000)
            from holdfast.lock_holds
            order by fence
            """
        #expect(
            try await database.column(String.self, parts).map { $0.replacing(".000000", with: "") }
                == ["11 0 0", "12 0 0", "13 4000 0"]
        )
    }

    /// An acquisition, and the ends of the jobs that it served, a second each; in seconds.
    private func hold(_ fences: ClosedRange<Int64>, at second: Int64, ends: String..., key: String = "a")
        -> [SharedHistory.Event]
    {
        let names = fences.count > 1 ? Array(fences) : []
        var acquired = SharedHistory.Event(
            at: second * 1_000_000,
            key: key,
            event: "acquired",
            job: fences.lowerBound,
            fence: fences.lowerBound
        )
        (acquired.validity, acquired.jobs, acquired.fences) = (20_000_000, names, names)
        let rest = zip(fences, ends).enumerated().map { place, end in
            SharedHistory.Event(
                at: (second + Int64(place) + 1) * 1_000_000,
                key: key,
                event: end.1,
                job: end.0,
                fence: end.0,
                held: 1_000_000
            )
        }
        return [acquired] + rest
    }

    @Test
    func `who held a key is right at 10,000 random moments, whoever shared a hold with whom`() async throws {
        let seed = UInt64.random(in: 0...UInt64.max)
        let history = SharedHistory(keys: 20, holds: 40, seed: seed)
        let beginning = try await write(history.events)
        var random = SeededRandom(state: seed &+ 1)
        var probes = history.parts.shuffled(using: &random).prefix(1000).flatMap { part in
            [(key: part.key, at: part.from), (key: part.key, at: part.to - 1), (key: part.key, at: part.to)]
        }
        while probes.count < Self.probes {
            let key = "k\(Int.random(in: 0..<20, using: &random))"
            probes.append((key: key, at: .random(in: 0...history.lengths[key]! + 2_000_000, using: &random)))
        }
        let answers = try await holders(at: probes, since: beginning)
        let parts = Dictionary(grouping: history.parts, by: \.key)
        var (held, free, wrong) = (0, 0, [String]())
        for (probe, answer) in zip(probes, answers) {
            let expected = parts[probe.key]!.filter { $0.from <= probe.at && probe.at < $0.to }
                .map { "\($0.job) \($0.fence)" + ($0.end.map { " \($0)" } ?? "") }.joined(separator: ",")
            if expected.isEmpty { free += 1 } else { held += 1 }
            if answer != expected { wrong.append("\(probe): \(answer), and not \(expected)") }
        }
        #expect(answers.count == Self.probes && held > 1000 && free > 100)
        #expect(wrong.isEmpty, "\(wrong.count) with seed \(seed), the first: \(wrong.first ?? "")")
    }

    /// Who held keys at moments, as the audit says it: job, fence and end, or nothing.
    private func holders(at probes: [(key: String, at: Int64)], since beginning: Int64) async throws -> [String] {
        try await database.pool.execute(
            Statement(
                name: "probes",
                sql: """
                    select (select string_agg(concat_ws(' ', h.job_id, h.fence, h.ended_by), ',') from holdfast.who_held(
                                p.key, 'epoch'::timestamptz + p.at * interval '1 microsecond') h)
                    from unnest($1::text[], $2::bigint[]) with ordinality as p(key, at, place)
                    order by p.place
                    """,
                isPrepared: false
            ),
            [.texts(probes.map(\.key)), .int64s(probes.map { beginning + $0.at })],
            within: .seconds(240)
        ).map { try $0.decodeIfPresent(String.self, at: 0) ?? "" }
    }

    @Test
    func `another than the holder is never named, by whatever the recorded times are off`() async throws {
        let seed = UInt64.random(in: 0...UInt64.max)
        let slack: Int64 = 5000
        let history = SharedHistory(keys: 20, holds: 40, seed: seed, slack: slack)
        let beginning = try await write(history.events)
        var random = SeededRandom(state: seed &+ 1)
        let ended = history.parts.filter { $0.end != nil }
        // Where one job passes the hold on to the next, and anywhere.
        let edges = ended.shuffled(using: &random).prefix(500).flatMap { part in
            [part.from, part.from + 100, part.to - 100, part.to - 1].map { (key: part.key, at: $0) }
        }
        let within = (0..<1000).map { _ in
            let part = ended.randomElement(using: &random)!
            return (key: part.key, at: Int64.random(in: part.from..<part.to, using: &random))
        }
        let probes = edges + within
        let parts = Dictionary(grouping: ended, by: \.key)
        var (named, wrong) = (0, [String]())
        for (probe, answer) in zip(probes, try await holders(at: probes, since: beginning)) {
            let holder = parts[probe.key]!.first { $0.from <= probe.at && probe.at < $0.to }
            let isInside = holder.map { $0.from + slack <= probe.at && probe.at < $0.to - slack } ?? false
            let expected = holder.map { "\($0.job) \($0.fence) \($0.end!)" } ?? ""
            if answer == expected { named += 1 }
            if answer != expected, isInside || !answer.isEmpty {
                wrong.append("\(probe): \(answer), and not \(expected)")
            }
        }
        #expect(named > 500)
        #expect(wrong.isEmpty, "\(wrong.count) with seed \(seed), the first: \(wrong.first ?? "")")
        // No part begins before the one before it has ended, nor ends before it began; an empty one is anywhere near.
        let disorder = """
            select count(*)
            from (
                select h.*, lag(h.ended_at) over (partition by h.lock_key order by h.fence) as ended_before
                from holdfast.lock_holds h
                where h.ended_at is distinct from h.acquired_at) h
            where h.acquired_at < h.ended_before or h.ended_at < h.acquired_at
            """
        #expect(try await database.int(disorder) == 0, "seed \(seed)")
    }

    @Test
    func `holds, attempts and holders of a span have each job's part once, and no violation is found`() async throws {
        let seed = UInt64.random(in: 0...UInt64.max)
        let history = SharedHistory(keys: 10, holds: 20, seed: seed)
        let beginning = try await write(history.events)
        func text(_ part: SharedHistory.Part) -> String {
            let until = part.end.map { " \($0) \(part.to)" } ?? ""
            return "\(part.key) \(part.job) \(part.fence) \(part.from)\(until)"
        }
        let columns = """
            concat_ws(' ', lock_key, job_id, fence, (extract(epoch from acquired_at) * 1000000)::bigint - $1, ended_by,
                      (extract(epoch from ended_at) * 1000000)::bigint - $1)
            """
        let holds = try await database.column(
            String.self,
            "select \(columns) from holdfast.lock_holds",
            [.int64(beginning)]
        )
        #expect(holds.sorted() == history.parts.map(text).sorted(), "seed \(seed)")
        let middle = try #require(history.lengths["k0"]) / 2
        let between = try await database.column(
            String.self,
            """
            select \(columns) from holdfast.holders_between('k0', 'epoch'::timestamptz + $2 * interval '1 microsecond',
                                                            'epoch'::timestamptz + $3 * interval '1 microsecond')
            """,
            [.int64(beginning), .int64(beginning + middle), .int64(beginning + middle + 1_000_000)]
        )
        let inside = history.parts.filter { $0.key == "k0" && $0.to > middle && $0.from < middle + 1_000_000 }
        #expect(between.sorted() == inside.map(text).sorted(), "seed \(seed)")
        let attempts = try await database.column(
            String.self,
            """
            select concat_ws(' ', job_id, fence, (extract(epoch from started_at) * 1000000)::bigint - $1)
            from holdfast.job_attempts
            """,
            [.int64(beginning)]
        )
        // One that was not the first, and runs, is known to nobody yet.
        let known = history.parts.filter { part in
            part.end != nil || part.fence == part.firstFence || history.running[part.key] != part
        }
        #expect(attempts.sorted() == known.map { "\($0.job) \($0.fence) \($0.from)" }.sorted(), "seed \(seed)")
        let overlaps = try await database.run("select * from holdfast.lock_overlaps")
        #expect(overlaps.count == 0, "seed \(seed)")
        #expect(try await database.isTrue("select not exists (select from holdfast.fence_regressions)"))
        let unclosed = try await database.column(Int64.self, "select fence from holdfast.unclosed_holds")
        // Two hours ago: those that last have not ended either.
        #expect(unclosed.sorted() == history.running.values.map(\.firstFence).sorted(), "seed \(seed)")
    }

    @Test
    func `a timeline has the acquisition of the hold that another job passed on`() async throws {
        let seed = UInt64.random(in: 0...UInt64.max)
        let history = SharedHistory(keys: 5, holds: 20, seed: seed)
        let beginning = try await write(history.events)
        var random = SeededRandom(state: seed &+ 1)
        let acquisitions = Dictionary(
            history.events.filter { $0.event == "acquired" }.map { ($0.fence, $0.at) },
            uniquingKeysWith: { first, _ in first }
        )
        let ended = history.parts.filter { $0.end != nil }
        let chosen = ended.shuffled(using: &random).prefix(300) + ended.filter { $0.fence != $0.firstFence }.prefix(100)
        for part in chosen {
            let rows = try await database.column(
                String.self,
                """
                select concat_ws(' ', event, (extract(epoch from at) * 1000000)::bigint - $2)
                from holdfast.job_timeline($1)
                where fence = $3
                """,
                [.int64(part.job), .int64(beginning), .int64(part.fence)]
            )
            let acquired = try #require(acquisitions[part.firstFence])
            #expect(rows == ["acquired \(acquired)", "\(part.end!) \(part.to)"], "seed \(seed), \(part)")
        }
    }

    @Test
    func `a timeline does not read all of a busy key to find an acquisition that is gone`() async throws {
        // Its acquisition was in a partition that has been dropped.
        let orphan = SharedHistory.Event(
            at: 1_000_000_000,
            key: "a",
            event: "released",
            job: 999_999,
            fence: 999_999,
            held: 1
        )
        let others = (1...20_000).map { number in
            SharedHistory.Event(at: Int64(number), key: "a", event: "acquired", job: number, fence: number)
        }
        try await write(others + [orphan])
        let read = try await database.pool.withTransaction { connection in
            func run(_ sql: String) async throws -> Rows {
                try await connection.execute(Statement(name: "test", sql: sql, isPrepared: false))
            }
            let before = try await run(Self.reads)[0].decode(Int.self, at: 0)
            let events = try await run("select event from holdfast.job_timeline(999999)")
            #expect(try events.map { try $0.decode(String.self, at: 0) } == ["released"])
            return try await run(Self.reads)[0].decode(Int.self, at: 0) - before
        }
        #expect(read > 0 && read < 500)
    }

    /// How many entries of the history's indexes this transaction has read.
    private static let reads = """
        select coalesce(sum(pg_stat_get_xact_tuples_returned(i.indexrelid)), 0)::bigint
        from pg_index i
        join pg_class c on c.oid = i.indrelid
        where c.relname like 'lock_history_%'
        """

    @Test
    func `a hold that lasts is current with its first job until something else is recorded of it`() async throws {
        let worker = try await database.makeWorker()
        try await database.enqueue(["a", "a", "a", "b"])
        let claims = try await database.claim(for: worker).sorted { $0.key < $1.key }
        let jobs = claims[0].jobs
        var acquired = LockEvent(.acquired, jobs[0], of: claims[0], at: .now)
        acquired.serves = jobs
        let hold = try await LockHistory(store: database.store).append(acquired)
        let current = """
            select concat_ws(' ', c.job_id, c.fence, c.attempt, c.jobs)
            from holdfast.key_lines k cross join lateral holdfast.current_hold(k) c
            """
        let named = "{" + jobs.map { "\($0.id)" }.joined(separator: ",") + "}"
        #expect(try await database.column(String.self, current) == ["\(jobs[0].id) \(jobs[0].fence) 1 \(named)"])
        let now = "select concat_ws(' ', lock_key, job_id, fence) from holdfast.current_holds"
        #expect(try await database.column(String.self, now) == ["a \(jobs[0].id) \(jobs[0].fence)"])
        // What is recorded of a hold while it lasts.
        var part = Settlement(of: claims[0])
        var passed = LockEvent(.passed, jobs[0], of: claims[0], at: .now)
        (passed.notBefore, passed.held) = (hold.at, .zero)
        part.record(passed)
        part.finish(jobs[0], .succeeded)
        _ = try await database.store.settle([part])
        #expect(try await database.column(String.self, current) == ["\(jobs[1].id) \(jobs[1].fence) 1 \(named)"])
        #expect(try await database.store.find(jobs[1].id)?.state == .running)
        #expect(try await database.store.find(jobs[2].id)?.state == .queued)
        var end = Settlement(of: claims[0])
        var released = LockEvent(.released, jobs[1], of: claims[0], at: .now)
        (released.notBefore, released.held) = (hold.at, .zero)
        end.record(released)
        end.finish(jobs[1], .succeeded)
        _ = try await database.store.settle([end])
        #expect(try await database.column(String.self, current) == [])
        #expect(try await database.column(String.self, now) == [])
        // The one that the hold came to no more waits, and may be cancelled at once.
        #expect(
            try await database.column(String.self, "select holdfast.cancel($1)", [.int64(jobs[2].id.rawValue)]) == [
                "cancelled"
            ]
        )
    }

    @Test
    func `two shared holds at one time are found, by their first fences`() async throws {
        try await write(
            hold(1...5, at: 10, ends: "passed", "passed", "released")
                + hold(11...13, at: 12, ends: "passed", "released")
                + hold(21...23, at: 12, ends: "released", key: "b")
        )
        let found = try await database.column(
            String.self,
            """
            select concat_ws(' ', lock_key, first_fence, second_fence,
                             extract(epoch from first_ended_at - first_acquired_at)::int)
            from holdfast.lock_overlaps
            """
        )
        #expect(found == ["a 1 11 3"])
    }

    @Test
    func `a hold that overlaps another only by its last job is found, though that was named before`() async throws {
        // The second begins while the last of the first hold's jobs runs; it names those that the first did not come to.
        try await write(
            hold(1...5, at: 10, ends: "passed", "passed", "released") + hold(4...5, at: 12, ends: "passed", "released")
        )
        #expect(try await database.column(Int64.self, "select second_fence from holdfast.lock_overlaps") == [4])
    }

    @Test
    func `jobs that a hold came to no more are named again without an overlap, and belong to the hold that ran them`()
        async throws
    {
        try await write(
            hold(1...5, at: 10, ends: "passed", "released") + hold(3...5, at: 12, ends: "passed", "passed", "released")
        )
        #expect(try await database.isTrue("select not exists (select from holdfast.lock_overlaps)"))
        let holds = try await database.column(
            String.self,
            "select concat_ws(' ', fence, ended_by, waited_us) from holdfast.lock_holds order by acquired_at, fence"
        )
        #expect(holds == ["1 passed", "2 released", "3 passed", "4 passed", "5 released"])
    }
}
