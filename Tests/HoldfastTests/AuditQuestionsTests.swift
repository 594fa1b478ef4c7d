import Holdfast
import Postgres
import Redlock
import TestSupport
import Testing

/// What the audit's functions and views answer about a made-up history, an hour ago.
@Suite(.freshDatabase, .timeLimit(.minutes(2)))
struct AuditQuestionsTests {
    /// An event; its time is so many seconds after the beginning.
    struct Event: Sendable {
        let event: String
        let fence: Int64
        let at: Int32
        var key = "a"
        /// How long the hold may be relied on from then, in seconds.
        var validFor: Int64?
        var waitedMs: Int64?
        var heldMs: Int64?
        var votes: String?

        init(_ event: String, _ fence: Int64, _ at: Int32) {
            self.event = event
            self.fence = fence
            self.at = at
        }

        func with(_ change: (inout Event) -> Void) -> Event {
            var event = self
            change(&event)
            return event
        }
    }

    private var database: TestDatabase { FreshDatabase.current }

    /// Writes events; the job's id is the fence, its attempt 1.
    private func write(_ events: [Event], since beginning: Int64) async throws {
        for event in events {
            try await database.run(
                """
                insert into holdfast.lock_history (at, event, lock_key, job_id, attempt, fence, validity_us, waited_us,
                                                   held_us, node_set, votes)
                values ('epoch'::timestamptz + $4 * interval '1 microsecond', $2::holdfast.lock_event, $1, $3, 1, $3, $5,
                        $6, $7, case when $8 then holdfast.node_set(array['n1', 'n2']) end, $9::smallint[])
                """,
                [
                    .text(event.key), .text(event.event), .int64(event.fence),
                    .int64(beginning + Int64(event.at) * 1_000_000), .int64(event.validFor.map { $0 * 1_000_000 }),
                    .int64(event.waitedMs.map { $0 * 1000 }), .int64(event.heldMs.map { $0 * 1000 }),
                    .bool(event.votes != nil), .text(event.votes),
                ]
            )
        }
    }

    private func anHourAgo() async throws -> Int64 {
        Int64(try await database.int("select (extract(epoch from clock_timestamp()) * 1000000)::bigint - 3600000000"))
    }

    /// The fences of the holds of `a` at a moment.
    private func holders(_ second: Int32, since beginning: Int64) async throws -> [Int64] {
        try await database.column(
            Int64.self,
            "select fence from holdfast.who_held('a', 'epoch'::timestamptz + $1 * interval '1 microsecond')",
            [.int64(beginning + Int64(second) * 1_000_000)]
        )
    }

    private static func acquired(_ fence: Int64, _ at: Int32, validFor seconds: Int64 = 100) -> Event {
        Event("acquired", fence, at).with { $0.validFor = seconds }
    }

    @Test(
        arguments: [
            // Held from its acquisition until its end; then nobody did, however long it was valid.
            (events: [acquired(1, 10), Event("released", 1, 20)], held: [10, 15, 19], free: [0, 9, 20, 21, 90]),
            (events: [acquired(1, 10), Event("lost", 1, 20)], held: [10, 19], free: [9, 20, 30]),
            (events: [acquired(1, 10, validFor: 5), Event("overrun", 1, 30)], held: [10, 16, 29], free: [9, 30]),
            // Its worker died: until it was valid, as it was extended.
            (events: [acquired(1, 10, validFor: 5)], held: [10, 14], free: [9, 15, 16]),
            (
                events: [
                    acquired(1, 10, validFor: 5), Event("extended", 1, 14).with { $0.validFor = 6 },
                    Event("rescued", 1, 40),
                ],
                held: [10, 15, 19], free: [9, 20, 39, 41]
            ),
            // An end that is another fence's, another key's, or a refusal is none.
            (
                events: [
                    acquired(1, 10, validFor: 20), Event("refused", 1, 12), Event("released", 2, 13),
                    Event("waiting", 3, 14),
                ],
                held: [10, 13, 29], free: [9, 30]
            ),
            (events: [acquired(1, 10).with { $0.key = "b" }], held: [], free: [9, 10, 15]),
        ] as [(events: [Event], held: [Int32], free: [Int32])]
    )
    func `who held a key is known for every moment, and nobody is named in gaps`(
        events: [Event],
        held: [Int32],
        free: [Int32]
    ) async throws {
        let beginning = try await anHourAgo()
        try await write(events, since: beginning)
        for second in held {
            let fences = try await holders(second, since: beginning)
            #expect(fences == [1], "at \(second)")
        }
        for second in free {
            let fences = try await holders(second, since: beginning)
            #expect(fences == [], "at \(second)")
        }
    }

    @Test
    func `holds that overlap are all named`() async throws {
        let beginning = try await anHourAgo()
        try await write(
            [Self.acquired(1, 10), Self.acquired(2, 20), Event("released", 2, 30), Event("released", 1, 40)],
            since: beginning
        )
        #expect(try await holders(25, since: beginning).sorted() == [1, 2])
        #expect(try await holders(35, since: beginning) == [1])
    }

    @Test
    func `the holders of a span are those who had a part in it`() async throws {
        let beginning = try await anHourAgo()
        try await write(
            [
                Self.acquired(1, 10), Event("released", 1, 20), Self.acquired(2, 30), Event("lost", 2, 40),
                Self.acquired(3, 50, validFor: 10), Self.acquired(9, 35).with { $0.key = "b" },
            ],
            since: beginning
        )
        for (from, to, fences) in [
            (0, 100, [1, 2, 3]), (0, 10, []), (0, 11, [1]), (15, 30, [1]), (15, 31, [1, 2]), (20, 30, []),
            (30, 31, [2]), (39, 51, [2, 3]), (59, 61, [3]), (60, 100, []),
        ] as [(Int64, Int64, [Int64])] {
            let found = try await database.column(
                Int64.self,
                """
                select fence
                from holdfast.holders_between('a', 'epoch'::timestamptz + $1 * interval '1 microsecond',
                                              'epoch'::timestamptz + $2 * interval '1 microsecond')
                order by acquired_at
                """,
                [.int64(beginning + from * 1_000_000), .int64(beginning + to * 1_000_000)]
            )
            #expect(found == fences, "from \(from) to \(to)")
        }
    }

    @Test
    func `a hold is unclosed when it is over and neither its end nor its rescue is recorded`() async throws {
        let beginning = try await anHourAgo()
        try await write(
            [
                Self.acquired(1, 0), Event("released", 1, 10), Self.acquired(2, 0), Event("rescued", 2, 10),
                Self.acquired(3, 0), Event("extended", 3, 50).with { $0.validFor = 100 },
                Self.acquired(4, 0), Event("extended", 4, 3000).with { $0.validFor = 2000 }, Self.acquired(5, 0),
                Event("extended", 5, 3550).with { $0.validFor = 600 },
            ],
            since: beginning
        )
        let rows = try await database.run(
            "select fence, (extract(epoch from valid_until) * 1000000)::bigint from holdfast.unclosed_holds"
        )
        #expect(rows.count == 1)
        #expect(try rows[0].decode(Int64.self, at: 0) == 3)
        #expect(try rows[0].decode(Int64.self, at: 1) == beginning + 150_000_000)
    }

    @Test
    func `a fence that no acquisition has is an effect without a record`() async throws {
        let beginning = try await anHourAgo()
        try await write([Self.acquired(5, 10), Event("released", 6, 11)], since: beginning)
        let rows = try await database.run(
            """
            select lock_key, fence, recorded
            from holdfast.unrecorded_effects(array['a', 'a', 'a', 'b'], array[4, 5, 6, 1])
            order by lock_key
            """
        )
        #expect(try rows.map { try $0.decode(String.self, at: 0) } == ["a", "b"])
        #expect(try rows.map { try $0.decode(Int64.self, at: 1) } == [6, 1])
        #expect(try rows.map { try $0.decodeIfPresent(Int64.self, at: 2) } == [5, nil])
    }

    @Test
    func `contention counts holds and waits of each key, the longest waited for first`() async throws {
        let beginning = try await anHourAgo()
        let holds: [Event] = (1...100).flatMap { number -> [Event] in
            let fence = Int64(number)
            return [
                Self.acquired(fence, Int32(number)).with { $0.waitedMs = fence },
                Event(number == 100 ? "lost" : "released", fence, Int32(number) + 1).with { $0.heldMs = fence * 2 },
            ]
        }
        let others = [
            Event("waiting", 200, 1).with { $0.key = "b" },
            Self.acquired(200, 200).with { ($0.key, $0.waitedMs) = ("b", 60_000) },
            Event("overrun", 200, 201).with { ($0.key, $0.heldMs) = ("b", 5) },
            Self.acquired(201, -90_000).with { $0.key = "c" },
        ]
        try await database.run("select holdfast.make_partitions(1, 3)")
        try await write(holds + others, since: beginning)
        let rows = try await database.column(
            String.self,
            "select concat_ws(' ', c.lock_key, holds, waits, waited_p50_ms, waited_p99_ms, held_p50_ms, held_p99_ms, lost, "
                + "overrun) from holdfast.key_contention('1 day') c"
        )
        #expect(rows == ["b 1 1 60000.0 60000.0 5.0 5.0 0 1", "a 100 0 50.5 99.0 101.0 198.0 1 0"])
    }

    @Test
    func `votes are counted by node and verdict`() async throws {
        let beginning = try await anHourAgo()
        let verdicts = ["granted", "granted", "held", "unreachable", "late", "quarantined", "stepped", "refused"]
        let numbers = [1, 1, 2, 3, 4, 5, 6, 7]
        #expect(
            try await database.column([String].self, "select holdfast.verdicts()")
                == [Vote.Verdict.allCases.map(\.rawValue)]
        )
        #expect(zip(verdicts, numbers).allSatisfy { Vote.Verdict.allCases[$1 - 1].rawValue == $0 })
        let events = numbers.enumerated().map { place, number in
            Event("acquired", Int64(place), Int32(place)).with { $0.votes = "{1,\(place * 10),\(number),7}" }
        }
        try await write(events, since: beginning)
        let rows = try await database.column(
            String.self,
            "select concat_ws(' ', node, asked, granted, held, unreachable, late, quarantined, stepped, refused, p50_us, p99_us) "
                + "from holdfast.node_votes()"
        )
        #expect(rows == ["n1 8 8 0 0 0 0 0 0 30 70", "n2 8 2 1 1 1 1 1 1 7 7"])
    }

    @Test
    func `current holds are those without an end, and a job's timeline tells all of it`() async throws {
        let worker = try await database.makeWorker()
        try await database.enqueue("a")
        let claim = try await database.claim(for: worker)[0]
        let current = "select count(*) from holdfast.current_holds"
        #expect(try await database.int(current) == 0)
        var settlement = Settlement(of: claim)
        var release = LockEvent(.released, claim.jobs[0], of: claim, at: .now)
        release.notBefore = try await database.begin(claim.jobs[0], of: claim)
        let named = "select concat_ws(' ', lock_key, job_id, attempt, worker, fence) from holdfast.current_holds"
        let job = claim.jobs[0]
        #expect(try await database.column(String.self, named) == ["a \(job.id) 1 test \(job.fence)"])
        settlement.record(release)
        settlement.finish(job, .succeeded)
        settlement.freesLine = true
        _ = try await database.store.settle([settlement])
        #expect(try await database.int(current) == 0)
        let timeline = try await database.run(
            "select event, attempt, fence, reason from holdfast.job_timeline($1)",
            [.int64(job.id.rawValue)]
        )
        #expect(
            try timeline.map { try $0.decode(String.self, at: 0) } == [
                "submitted", "acquired", "released", "succeeded",
            ]
        )
        #expect(try timeline.map { try $0.decodeIfPresent(Int.self, at: 1) } == [nil, 1, 1, 1])
        #expect(
            try timeline.map { try $0.decodeIfPresent(Int64.self, at: 2) }
                == [nil] + Array(repeating: job.fence.rawValue, count: 3)
        )
        #expect(try timeline[0].decode(String.self, at: 3) == "key a")
    }
}
