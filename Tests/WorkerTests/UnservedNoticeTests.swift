import Holdfast
import InMemoryLogging
import Logging
import Postgres
import TestSupport
import Testing

@testable import Worker

struct UnservedNoticeTests {
    @Test func `a kind is told of at once, then once a minute, and when it waits no more`() {
        let (kind, other) = (UnservedKind(queue: "q", kind: "a"), UnservedKind(queue: "q", kind: "b"))
        var notice = UnservedNotice()
        let start = ContinuousClock.now
        var waiting: [[UnservedKind]] = []
        for seconds in stride(from: 0, through: 120, by: 10) {
            let told = notice.note(seconds < 30 ? [kind] : [kind, other], at: start.advanced(by: .seconds(seconds)))
            #expect(told.over.isEmpty)
            waiting.append(told.waiting)
        }
        #expect(waiting[0] == [kind] && waiting[3] == [other] && waiting[6] == [kind] && waiting[9] == [other])
        #expect(waiting.flatMap(\.self).count == 5)
        let (none, over) = notice.note([other], at: start.advanced(by: .seconds(130)))
        #expect(none.isEmpty && over == [kind])
        #expect(notice.note([kind, other], at: start.advanced(by: .seconds(140))).waiting == [kind])
    }

    @Test(.freshDatabase) func `of several workers one tells of a kind that none takes`() async throws {
        let database = FreshDatabase.current
        let registry = WorkerRegistry(pool: database.pool)
        var workers: [WorkerID] = []
        for kinds in [["a"], ["a", "b"]] {
            let worker = try await registry.nextID()
            try await registry.heartbeat(worker, .init(name: "w", queues: ["default"], kinds: kinds, slots: 1))
            workers.append(worker)
        }
        for (key, kind, queue) in [
            ("1", "a", "default"), ("2", "b", "default"), ("3", "c", "default"), ("4", "a", "other"),
        ] {
            var job = try NewJob(key: key, value: "v")
            (job.kind, job.queue) = (kind, queue)
            _ = try await database.store.enqueue([job, job])
        }
        // It is told of what has waited for a while.
        #expect(try await registry.unservedKinds(toBeToldBy: workers[0]).isEmpty)
        _ = try await database.pool.execute(
            Statement(name: "t", sql: "update holdfast.key_lines set ready_at = ready_at - interval '1 minute'")
        )
        let unserved = Set([UnservedKind(queue: "default", kind: "c"), UnservedKind(queue: "other", kind: "a")])
        #expect(Set(try await registry.unservedKinds(toBeToldBy: workers[0])) == unserved)
        #expect(try await registry.unservedKinds(toBeToldBy: workers[1]).isEmpty)
        let queues = try await QueueViews(pool: database.pool).queueStates(limit: 10)
        let states = Dictionary(uniqueKeysWithValues: queues.map { ($0.name, $0) })
        #expect(states["default"]?.ready == 3 && states["default"]?.unserved.map(\.kind) == ["c"])
        #expect(states["default"]?.unserved.map(\.lines) == [1])
        #expect(states["other"]?.unserved.map(\.kind) == ["a"] && states["other"]?.servedWait == nil)
    }
}
