import ArgumentParser
import Logging
import Redis
import Redlock

/// The command `holdfast nodes`.
struct Nodes: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Ask the lock nodes how they are.",
        discussion: """
            From this machine, whatever workers see: whether each answers, how long that takes, and whether it may vote. \
            One that was restarted and may have forgotten locks has no vote for a minute. Exits with 1 when so few may \
            vote that no lock is to be had. It needs no database.

            Example:
              holdfast nodes --lock-nodes redis://r1:6379,redis://r2:6379,redis://r3:6379
            """
    )

    private static let deadline: Duration = .seconds(2)

    @Flag(help: "Print each as an object of JSON on a line.") var json = false
    @OptionGroup var nodes: NodeOptions
    @OptionGroup var common: CommonOptions

    func run() async throws {
        let flags = common.values.merging(nodes.values) { $1 }
        let settings = try await Settings(flags: flags, file: common.configurationFile)
        var logger = try settings.makeLogger("nodes")
        // The table says it.
        logger.logLevel = max(logger.logLevel, .error)
        let lockNodes = try settings.lockNodes(logger)
        let rows = try await NodeRow.whileConnected(lockNodes) {
            await NodeRow.connected(lockNodes, within: Self.deadline)
            return await NodeRow.ask(lockNodes, within: Self.deadline)
        }
        if json {
            for row in rows { try Output.write(json: row) }
        } else {
            try Output.write(lines: NodeRow.table(rows).lines)
        }
        guard rows.count(where: \.votes) > lockNodes.count / 2 else { throw ExitCodes.failure }
    }
}

/// A lock node, as this process sees it.
struct NodeRow: Encodable {
    let name: String
    let connected: Bool
    let votes: Bool
    var roundTripUs: Int?
    var version: String?
    /// Whether every write is on disk before it is answered.
    var persists: Bool?

    static func ask(_ nodes: [RedisLockNode], within deadline: Duration) async -> [NodeRow] {
        let trips = await RedisLockNode.roundTrips(to: nodes, within: deadline)
        return zip(nodes, trips).map { node, trip in
            let info = node.connection.serverInfo
            return NodeRow(
                name: node.name,
                connected: node.connection.isConnected,
                votes: node.mayVote && trip != nil,
                roundTripUs: trip.map { Int($0 / .microseconds(1)) },
                version: info?.version,
                persists: info?.persistsEveryWrite
            )
        }
    }

    static func table(_ rows: [NodeRow]) -> Table {
        var table = Table([
            ("NODE", .left), ("STATE", .left), ("ROUND TRIP", .right), ("VERSION", .left), ("PERSISTS", .left),
        ])
        for row in rows {
            table.add([
                row.name, row.votes ? "votes" : row.connected ? "no vote" : "away",
                row.roundTripUs.map { "\($0) µs" } ?? "", row.version ?? "",
                row.persists.map { $0 ? "yes" : "no" } ?? "",
            ])
        }
        return table
    }

    /// Waits until all are connected, or the time is up.
    static func connected(_ nodes: [RedisLockNode], within limit: Duration) async {
        let end = ContinuousClock.now + limit
        while !nodes.allSatisfy({ $0.connection.isConnected }), ContinuousClock.now < end, !Task.isCancelled {
            try? await Task.sleep(for: .milliseconds(10))  // Cancelled: the loop ends.
        }
    }

    /// Keeps nodes connected while `body` runs.
    static func whileConnected<Value: Sendable>(
        _ nodes: [RedisLockNode],
        _ body: () async throws -> Value
    ) async throws -> Value {
        try await withThrowingDiscardingTaskGroup { group in
            for node in nodes { group.addTask { await node.run() } }
            defer { group.cancelAll() }
            return try await body()
        }
    }
}
