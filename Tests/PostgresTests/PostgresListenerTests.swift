import LocalStack
import Postgres
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(2)))
struct PostgresListenerTests {
    private typealias Event = PostgresListener.Event

    /// Runs `body` with the events of a listener that runs meanwhile.
    private func withListener(
        on server: PostgresServer,
        channels: [String],
        _ body: (AsyncStream<Event>) async throws -> Void
    ) async throws {
        let (events, happened) = AsyncStream.makeStream(of: Event.self, bufferingPolicy: .unbounded)
        let listener = PostgresListener(
            configuration: try server.configuration(),
            channels: channels,
            logger: .quiet
        ) { happened.yield($0) }
        let run = Task { await listener.run() }
        #expect(await events.next() == .connected)
        let outcome = await Result.of { try await body(events) }
        run.cancel()
        await run.value
        try outcome.get()
    }

    private func notify(_ connection: PostgresConnection, _ channel: String, _ payload: String) async throws {
        _ = try await connection.execute(
            Statement(name: "notify", sql: "select pg_notify($1, $2)"),
            [.text(channel), .text(payload)]
        )
    }

    @Test func `it hears its channels, in order, and no others`() async throws {
        let server = try await TestServers.postgres()
        let connection = try await server.connect()
        try await withListener(on: server, channels: ["Jobs \"a\"", "jobs_b"]) { events in
            try await notify(connection, "jobs_c", "")
            try await notify(connection, "Jobs \"a\"", "žluť")
            try await notify(connection, "jobs_b", "")
            #expect(await events.next() == .notification(channel: "Jobs \"a\"", payload: "žluť"))
            #expect(await events.next() == .notification(channel: "jobs_b", payload: ""))
        }
    }

    @Test func `it connects again when its backend is killed, and says so`() async throws {
        let server = try await TestServers.postgres()
        let connection = try await server.connect()
        try await withListener(on: server, channels: ["kill_me"]) { events in
            let kill = Statement(
                "select pg_terminate_backend(pid) from pg_stat_activity where query = 'listen \"kill_me\";'"
            )
            #expect(try await connection.execute(kill).count == 1)
            #expect(await events.next() == .connected)
            try await notify(connection, "kill_me", "again")
            #expect(await events.next() == .notification(channel: "kill_me", payload: "again"))
        }
    }

    @Test func `it connects again after the server was away`() async throws {
        let server = try await TestServers.makePostgres()
        try await withListener(on: server, channels: ["away"]) { events in
            await server.kill()
            try await server.start()
            #expect(await events.next() == .connected)
            try await notify(server.connect(), "away", "back")
            #expect(await events.next() == .notification(channel: "away", payload: "back"))
        }
        await server.stop()
    }

    @Test func `it ends when it is cancelled while the server is away`() async throws {
        let configuration = try PostgresConfiguration(connectionString: "host=/nowhere")
        let listener = PostgresListener(configuration: configuration, channels: ["a"], logger: .quiet) { _ in }
        let run = Task { await listener.run() }
        run.cancel()
        await run.value
    }

    @Test func `it gives back its descriptor with each connection`() async throws {
        let server = try await TestServers.postgres()
        let connection = try await server.connect()
        let backends = Statement(
            name: "listeners",
            sql: "select from pg_stat_activity where query = 'listen \"gone\";'"
        )
        for _ in 1...3 {
            try await withListener(on: server, channels: ["gone"]) { _ in }
            while try await !connection.execute(backends).isEmpty {}
        }
    }
}

extension AsyncStream where Element: Sendable {
    /// The next element; all iterators of a stream take from the same buffer.
    fileprivate func next() async -> Element? {
        for await element in self { return element }
        return nil
    }
}

extension Result where Failure == any Error {
    fileprivate static func of(_ body: () async throws -> Success) async -> Self {
        do {
            return .success(try await body())
        } catch {
            return .failure(error)
        }
    }
}
