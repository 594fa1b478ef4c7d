import Holdfast
import Postgres
import Randomness
import Synchronization
import TestSupport
import Testing

@Suite(.freshDatabase, .timeLimit(.minutes(3)))
struct EnqueueTests {
    private var database: TestDatabase { FreshDatabase.current }

    @Test
    func `receipts come in the jobs' order, and their ids rise`() async throws {
        let receipts = try await database.enqueue("b", "a", "c", "a", "b")
        #expect(receipts.count == 5)
        #expect(receipts.map(\.id.rawValue) == receipts.map(\.id.rawValue).sorted())
        #expect(Set(receipts.map(\.id)).count == 5)
        let values = try await database.column(String.self, "select value from holdfast.jobs order by id")
        #expect(values == ["b-0", "a-1", "c-2", "a-3", "b-4"])
    }

    @Test
    func `a job is found as it was submitted`() async throws {
        let job = try NewJob(key: "鍵 k", value: "\"a'\\\n🔑", durationMs: 1234, lockTTLMs: 5678)
        let receipt = try await database.store.enqueue([job])[0]
        let found = try #require(try await database.store.find(receipt.id))
        #expect(found.id == receipt.id)
        #expect(found.key == job.key)
        #expect(found.value == job.value)
        #expect(found.kind == "lockAndSet")
        #expect(found.queue == "default")
        #expect(found.priority == 5)
        #expect(found.duration == .milliseconds(1234))
        #expect(found.lockTTL == .milliseconds(5678))
        #expect(found.state == .queued)
        #expect(found.attempt == 0)
        #expect(found.maxAttempts == 20)
        #expect(found.fence == nil)
        #expect(found.submittedAt == receipt.submittedAt)
        #expect(found.startedAt == nil)
        #expect(found.finishedAt == nil)
        #expect(try await database.store.find(JobID(receipt.id.rawValue + 1)) == nil)
    }

    @Test
    func `each key has one line, which begins no later than its first job`() async throws {
        let first = try await database.enqueue("b", "a", "b")
        let lines = try await database.lines()
        #expect(lines.map(\.key) == ["a", "b"])
        #expect(lines.allSatisfy { $0.holder == nil && $0.head.rawValue <= first[0].id.rawValue })
        try await database.enqueue("c", "a")
        let later = try await database.lines()
        #expect(Array(later.prefix(2)) == lines)
        #expect(later.map(\.key) == ["a", "b", "c"])
        #expect(later[2].head.rawValue > first[0].id.rawValue)
    }

    @Test
    func `a batch is stored as a whole or not at all`() async throws {
        try await database.run("alter table holdfast.jobs add constraint no_bad_value check (value <> 'bad-1')")
        let error = try await postgresError { try await database.enqueue("good", "bad") }
        #expect(error?.constraint == "no_bad_value")
        #expect(try await database.unfinished() == [])
        #expect(try await database.lines() == [])
    }

    @Test
    func `many who submit to the same keys lose nothing, and ids become visible in order`() async throws {
        let seed = UInt64.random(in: 0...UInt64.max)
        print("seed \(seed)")
        let database = database
        let done = Flag()
        let (writers, batches, size) = (7, 40, 20)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await Self.watch(database, until: { done.isSet }) }
            try await withThrowingTaskGroup(of: Void.self) { writing in
                for writer in 0..<writers {
                    writing.addTask {
                        var random = SeededRandom(state: seed &+ UInt64(writer))
                        for batch in 0..<batches {
                            let jobs = try (0..<size).map { number in
                                try NewJob(
                                    key: "k\(Int.random(in: 0..<8, using: &random))",
                                    value: "\(writer) \(batch * size + number)"
                                )
                            }
                            #expect(try await database.store.enqueue(jobs).count == size)
                        }
                    }
                }
                try await writing.waitForAll()
            }
            done.set()
            try await group.waitForAll()
        }
        #expect(try await database.unfinished().count == writers * batches * size)
        // One who submits one thing after the other finds them in that order.
        let disordered = try await database.int(
            """
            select count(*)
            from (
                select split_part(value, ' ', 2)::int as number,
                       max(split_part(value, ' ', 2)::int) over (
                           partition by lock_key, split_part(value, ' ', 1) order by id
                           rows between unbounded preceding and 1 preceding) as before
                from holdfast.jobs) j
            where number < before
            """
        )
        #expect(disordered == 0)
    }

    /// Looks at the queue again and again: whatever of a key comes into sight has higher ids than what was there before,
    /// and no line begins after a job of its key.
    private static func watch(_ database: TestDatabase, until isOver: @Sendable () -> Bool) async throws {
        var highest: [String: Int64] = [:]
        var counts: [String: Int] = [:]
        while true {
            let wasOver = isOver()
            let rows = try await database.pool.execute(
                Statement(
                    name: "watch",
                    sql: """
                        select j.lock_key, count(*), max(j.id), bool_and(coalesce(k.head_place <= j.id, false)),
                               array_agg(j.id)
                        from holdfast.jobs j
                        left join holdfast.key_lines k on k.lock_key = j.lock_key
                        group by j.lock_key
                        """
                )
            )
            for row in rows {
                let key = try row.decode(String.self, at: 0)
                let ids = try row.decode([Int64].self, at: 4)
                let isBegun = try row.decode(Bool.self, at: 3)
                #expect(isBegun, "the line of \(key) begins after one of its jobs")
                // As many at or below the highest seen as there were then.
                let old = ids.filter { $0 <= highest[key] ?? 0 }.count
                #expect(old == counts[key] ?? 0, "a job of \(key) appeared behind a later one")
                highest[key] = try row.decode(Int64.self, at: 2)
                counts[key] = try row.decode(Int.self, at: 1)
            }
            if wasOver { return }
        }
    }
}

/// Something that the test says once.
private final class Flag: Sendable {
    private let value = Atomic(false)

    var isSet: Bool { value.load(ordering: .acquiring) }

    func set() { value.store(true, ordering: .releasing) }
}
