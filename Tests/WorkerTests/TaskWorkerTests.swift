import Holdfast
import LocalStack
import Synchronization
import TestSupport
import Testing
import Worker

@Suite(.freshDatabase, .timeLimit(.minutes(3)))
struct TaskWorkerTests {
    @Test
    func `a program of one's own runs the jobs that it has handlers for`() async throws {
        try await TestWorkers.with { (workers) async throws in
            let worker = try TaskWorker(
                database: workers.database.url,
                lockNodes: workers.nodes.servers.map(\.url),
                handlers: [Scripted { _, _ in }],
                logger: .quiet
            )
            let id = try await workers.submit("k")
            try await withThrowingTaskGroup(of: Void.self) { (group) async throws in
                group.addTask { try await worker.run() }
                #expect(try await workers.outcome(of: id).state == .succeeded)
                group.cancelAll()
            }
        }
    }

    @Test
    func `what it cannot work with is said when it is made`() throws {
        let url = FreshDatabase.current.url
        for (database, nodes) in [
            ("nonsense", ["redis://r1"]), (url, []), (url, ["redis://r1", "redis://r2"]), (url, ["http://r1"]),
        ] {
            let error = #expect(throws: TaskWorker.Invalid.self) {
                try TaskWorker(database: database, lockNodes: nodes, handlers: [])
            }
            #expect(error?.description.isEmpty == false)
        }
    }

    @Test
    func `a database that was not migrated is refused, with what to do`() async throws {
        try await TestWorkers.with { (workers) async throws in
            try await workers.run("delete from holdfast.schema_migrations where version > 1")
            let worker = try TaskWorker(
                database: workers.database.url,
                lockNodes: workers.nodes.servers.map(\.url),
                handlers: [],
                logger: .quiet
            )
            let error = await #expect(throws: TaskWorker.Invalid.self) { try await worker.run() }
            #expect(error?.description.hasSuffix("run holdfast migrate.") == true)
        }
    }
}
