import Holdfast
import Postgres
import Redlock
import TestSupport
import Testing

@Suite(.freshDatabase, .timeLimit(.minutes(2)))
struct HistoryViewsTests {
    /// An event of a made-up history; its time is so many seconds into the day.
    struct Event: Sendable {
        let key: String
        let event: String
        let fence: Int64
        let at: Int

        init(_ key: String, _ event: String, _ fence: Int64, _ at: Int) {
            self.key = key
            self.event = event
            self.fence = fence
            self.at = at
        }
    }

    private var database: TestDatabase { FreshDatabase.current }

    private func write(_ events: [Event]) async throws {
        for event in events {
            try await database.run(
                """
                insert into holdfast.lock_history (at, event, lock_key, job_id, fence)
                values (date_trunc('day', clock_timestamp(), 'UTC') + $4 * interval '1 second',
                        $2::holdfast.lock_event, $1, ascii($1) * 1000 + $3, $3)
                """,
                [.text(event.key), .text(event.event), .int64(event.fence), .int32(Int32(event.at))]
            )
        }
    }

    private let isFoundNothing = """
        select not exists (select from holdfast.lock_overlaps) and not exists (select from holdfast.fence_regressions)
        """

    @Test(arguments: [
        (end: "released", by: "released" as String?), (end: "lost", by: "lost"), (end: "overrun", by: "overrun"),
        (end: "extended", by: nil), (end: "refused", by: nil), (end: "rescued", by: nil),
    ])
    func `a hold is the time from an acquisition to its end`(end: String, by: String?) async throws {
        try await write([
            Event("a", "waiting", 1, 5), Event("a", "acquired", 1, 10), Event("b", "released", 1, 15),
            Event("a", "released", 2, 16), Event("a", "extended", 1, 18), Event("a", end, 1, 20),
        ])
        let holds = try await database.run(
            """
            select lock_key, fence, ended_by, extract(epoch from ended_at - acquired_at)::int as seconds
            from holdfast.lock_holds
            """
        )
        #expect(holds.count == 1)
        #expect(try holds[0].decode(String.self, at: 0) == "a")
        #expect(try holds[0].decode(Int.self, at: 1) == 1)
        #expect(try holds[0].decodeIfPresent(String.self, at: 2) == by)
        #expect(try holds[0].decodeIfPresent(Int.self, at: 3) == (by == nil ? nil : 10))
    }

    @Test
    func `what the program writes is a hold without violations`() async throws {
        let worker = try await database.makeWorker()
        try await database.enqueue("a", "a", "b")
        let claims = try await database.claim(for: worker)
        for claim in claims {
            var settlement = Settlement(of: claim)
            for job in claim.jobs {
                var release = LockEvent(.released, job, of: claim, at: .now)
                release.notBefore = try await database.begin(job, of: claim)
                settlement.record(release)
                settlement.finish(job, .succeeded)
                _ = try await database.store.settle([settlement.takePart()])
            }
            settlement.freesLine = true
            _ = try await database.store.settle([settlement])
        }
        let fences = try await database.column(
            Int64.self,
            "select fence from holdfast.lock_holds where ended_by = 'released' and ended_at >= acquired_at order by fence"
        )
        #expect(fences == claims.flatMap(\.jobs).map(\.fence.rawValue).sorted())
        #expect(try await database.isTrue(isFoundNothing))
    }

    @Test(arguments: [
        // Within the first, over its end, at the same moment, and over all of it.
        [
            Event("a", "acquired", 1, 10), Event("a", "acquired", 2, 15), Event("a", "released", 2, 18),
            Event("a", "released", 1, 20),
        ],
        [
            Event("a", "acquired", 1, 10), Event("a", "acquired", 2, 19), Event("a", "released", 1, 20),
            Event("a", "released", 2, 30),
        ],
        [Event("a", "acquired", 1, 10), Event("a", "lost", 1, 20), Event("a", "acquired", 2, 15)],
        [
            Event("a", "acquired", 1, 10), Event("a", "released", 1, 40), Event("a", "acquired", 9, 12),
            Event("b", "acquired", 3, 13),
        ],
    ])
    func `holds of one key at one time are found`(events: [Event]) async throws {
        try await write(events)
        #expect(try await database.int("select count(*) from holdfast.lock_overlaps where lock_key = 'a'") == 1)
        #expect(try await database.int("select count(*) from holdfast.lock_overlaps") == 1)
    }

    @Test(arguments: [
        [
            Event("a", "acquired", 1, 10), Event("a", "released", 1, 20), Event("a", "acquired", 2, 20),
            Event("a", "released", 2, 30),
        ],
        [
            Event("a", "acquired", 1, 10), Event("b", "acquired", 2, 15), Event("a", "released", 1, 20),
            Event("b", "released", 2, 30),
        ],
        [
            Event("a", "acquired", 1, 10), Event("a", "rescued", 1, 20), Event("a", "acquired", 2, 21),
            Event("a", "released", 2, 30),
        ],
    ])
    func `holds one after the other, or of several keys, are no violation`(events: [Event]) async throws {
        try await write(events)
        #expect(try await database.isTrue(isFoundNothing))
    }

    @Test(
        arguments: [
            (events: [Event("a", "acquired", 2, 10), Event("a", "acquired", 1, 20)], found: [1]),
            (events: [Event("a", "acquired", 2, 10), Event("a", "acquired", 2, 20)], found: [2]),
            (
                events: [
                    Event("a", "acquired", 5, 10), Event("a", "acquired", 7, 20), Event("a", "acquired", 6, 30),
                    Event("a", "acquired", 8, 40),
                ],
                found: [6]
            ),
            (events: [Event("a", "acquired", 2, 10), Event("b", "acquired", 1, 20)], found: []),
            (events: [Event("a", "acquired", 2, 10), Event("a", "released", 1, 20)], found: []),
        ] as [(events: [Event], found: [Int64])]
    )
    func `an acquisition whose fence is not above the earlier ones is found`(
        events: [Event],
        found: [Int64]
    ) async throws {
        try await write(events)
        let fences = try await database.column(
            Int64.self,
            "select fence from holdfast.fence_regressions order by fence"
        )
        #expect(fences == found)
    }
}
