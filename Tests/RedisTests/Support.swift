import Logging
import Redis
import Synchronization
import Testing

/// Runs `body` beside a node that serves, and ends the node afterwards.
func withNode(
    _ url: String,
    configuration: RedisNodeConfiguration = .patient,
    logger: Logger = Logger(label: "redis") { _ in SwiftLogNoOpLogHandler() },
    _ body: (RedisNode, States) async throws -> Void
) async throws {
    let (states, changed) = AsyncStream.makeStream(of: RedisNodeState.self, bufferingPolicy: .unbounded)
    var configuration = configuration
    configuration.onStateChange = { changed.yield($0) }
    let node = RedisNode(try RedisEndpoint(url), configuration: configuration, logger: logger)
    try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask { await node.run() }
        defer { group.cancelAll() }
        try await body(node, States(stream: states, node: node))
    }
}

/// The changes that a node has told of, oldest first.
struct States: Sendable {
    fileprivate let stream: AsyncStream<RedisNodeState>
    fileprivate let node: RedisNode

    /// Waits for the next change, and until it has happened: a connection is told of just before it is used.
    func next() async -> RedisNodeState? {
        for await state in stream {
            if case .connected = state { while !node.isConnected { await Task.yield() } }
            return state
        }
        return nil
    }
}

/// The code of the error that `body` throws; `nil` when it throws none.
func code(of body: () async throws(RedisError) -> some Any) async -> RedisError.Code? {
    do throws(RedisError) {
        _ = try await body()
        return nil
    } catch {
        return error.code
    }
}

extension RedisNodeConfiguration {
    /// Waits for a slow machine: what is to be given up sooner is set by the test.
    static var patient: RedisNodeConfiguration {
        var configuration = RedisNodeConfiguration()
        configuration.connectTimeout = ample
        configuration.silenceLimit = ample
        return configuration
    }
}

/// Longer than any answer takes: a test that waits so long hangs, and its time limit says so.
let ample = Duration.seconds(50)
/// Shorter than the pauses that the tests make: whatever it is given to is over at its deadline.
let brief = Duration.milliseconds(20)
