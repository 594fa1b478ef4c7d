import ArgumentParser
import Holdfast
import Logging
import Redis
import Redlock

/// The command `holdfast nodes`.
struct Nodes: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Ask the lock nodes and the value node how they are, and tidy the value node.",
        subcommands: [List.self, Tidy.self],
        defaultSubcommand: List.self
    )

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Ask the lock nodes and the value node how they are.",
            discussion: """
                From this machine, whatever workers see: whether each answers, how long that takes, and whether it votes; if \
                not, why. Each is asked for a lock of nobody's. One that answers with an error (READONLY, OOM, NOPERM, …) has \
                no vote, and one that was restarted and may have forgotten locks has none for a minute. The value node is asked \
                to write. Exits with 1 when so few vote that no lock is to be had, or no value can be written. It needs no \
                database.

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
            logger.logLevel = max(logger.logLevel, .critical)
            let lockNodes = try settings.lockNodes(logger)
            let valueNode = try settings.valueNode(logger).map { ValueNode($0, logger: logger) }
            let (rows, values) = try await NodeRow.whileConnected(lockNodes, valueNode) {
                await NodeRow.connected(lockNodes, valueNode, within: Self.deadline)
                let rows = await NodeRow.ask(lockNodes, within: Self.deadline)
                guard let valueNode else { return (rows, nil as NodeRow?) }
                return (rows, await NodeRow.ask(valueNode, within: Self.deadline))
            }
            let all = rows + [values].compactMap(\.self)
            if json {
                for row in all { try Output.write(json: row) }
            } else {
                try Output.write(lines: NodeRow.table(all).lines)
            }
            guard rows.count(where: { $0.votes == true }) > lockNodes.count / 2, values?.writable != false else {
                throw ExitCodes.failure
            }
        }
    }
}

/// A lock node, or the value node, as this process sees it.
struct NodeRow: Encodable {
    let name: String
    var role = "lock"
    let connected: Bool
    /// Of a lock node.
    var votes: Bool?
    /// Of the value node.
    var writable: Bool?
    /// The code of the error that it answers with.
    var code: String?
    /// Why it has no vote.
    var obstacle: String?
    /// What it should be told otherwise.
    var warnings: [String] = []
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
                code: node.refusal?.code,
                obstacle: node.obstacle ?? (trip == nil ? "no answer within \(deadline)" : nil),
                warnings: node.connection.isConnected ? node.warnings : [],
                roundTripUs: trip.map { Int($0 / .microseconds(1)) },
                version: info?.version,
                persists: info?.persistsEveryWrite
            )
        }
    }

    static func ask(_ node: ValueNode, within deadline: Duration) async -> NodeRow {
        let start = ContinuousClock.now
        let isThere = (try? await node.connection.send(RedisCommand("PING"), within: deadline)) != nil
        let info = node.connection.serverInfo
        return NodeRow(
            name: node.name,
            role: "value",
            connected: node.connection.isConnected,
            writable: node.obstacle == nil,
            code: node.refusal?.code,
            obstacle: node.obstacle,
            warnings: node.warnings,
            roundTripUs: isThere ? Int(start.duration(to: .now) / .microseconds(1)) : nil,
            version: info?.version,
            persists: info?.persistsEveryWrite
        )
    }

    private var state: String {
        if !connected { return "away" }
        if let writable { return writable ? "takes writes" : "no writes" }
        return votes == true ? "votes" : "no vote"
    }

    static func table(_ rows: [NodeRow]) -> Table {
        var table = Table([
            ("NODE", .left), ("ROLE", .left), ("STATE", .left), ("ROUND TRIP", .right), ("VERSION", .left),
            ("PERSISTS", .left),
            ("WHY", .left),
        ])
        for row in rows {
            table.add([
                row.name, row.role, row.state,
                row.roundTripUs.map { "\($0) µs" } ?? "", row.version ?? "",
                row.persists.map { $0 ? "yes" : "no" } ?? "",
                ([row.obstacle].compactMap(\.self) + row.warnings).joined(separator: "; ").printable,
            ])
        }
        return table
    }

    /// Waits until all are connected and have been asked what their users ask, or the time is up.
    static func connected(_ nodes: [RedisLockNode], _ valueNode: ValueNode? = nil, within limit: Duration) async {
        let end = ContinuousClock.now + limit
        while !nodes.allSatisfy(\.isKnown) || valueNode?.isKnown == false, ContinuousClock.now < end, !Task.isCancelled
        {
            try? await Task.sleep(for: .milliseconds(10))  // Cancelled: the loop ends.
        }
    }

    /// Keeps nodes connected while `body` runs.
    static func whileConnected<Value: Sendable>(
        _ nodes: [RedisLockNode],
        _ valueNode: ValueNode? = nil,
        _ body: () async throws -> Value
    ) async throws -> Value {
        try await withThrowingDiscardingTaskGroup { group in
            for node in nodes { group.addTask { await node.run() } }
            if let valueNode {
                group.addTask { await valueNode.run() }
                group.addTask { await valueNode.connection.run() }
            }
            defer { group.cancelAll() }
            return try await body()
        }
    }
}
