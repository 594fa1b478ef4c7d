package import Redis

/// What all nodes are asked together, in this order; at least one question.
package struct LockQuestions: Sendable {
    package let list: [LockQuestion]
    /// What asks Redis nodes that know the scripts.
    let commands: RedisCommands

    package init(_ list: [LockQuestion]) {
        self.list = list
        commands = RedisCommands(list.lazy.map(\.command))
    }

    /// What asks any Redis node.
    var commandsBySource: RedisCommands { RedisCommands(list.map(\.commandBySource)) }
}

/// What a node is asked about the locks of one hold.
package final class LockQuestion: Sendable {
    package enum Kind: Sendable {
        /// Store the token under every name for the TTL, unless there is something under one of them.
        case acquire
        /// Set the time to live to the TTL, if the token is still under every name.
        case extend
        /// Remove each name under which the token still is.
        case release
    }

    package let kind: Kind
    /// The locks' names on the node, in order; at least one.
    package let names: [String]
    package let token: String
    package let ttl: Duration
    /// What asks a Redis node that knows the scripts; encoded once for all of them.
    package let command: RedisCommand

    package init(_ kind: Kind, names: [String], token: String, ttl: Duration) {
        self.kind = kind
        self.names = names
        self.token = token
        self.ttl = ttl
        command =
            if let script = Self.script(kind, count: names.count) {
                Self.command("EVALSHA", script.hash, kind, names, token, ttl)
            } else {
                Self.set(names[0], token, ttl)
            }
    }

    /// What asks any Redis node.
    package var commandBySource: RedisCommand {
        guard let script = Self.script(kind, count: names.count) else { return command }
        return Self.command("EVAL", script.source, kind, names, token, ttl)
    }

    /// The script that does it; `nil` for what is done by a plain `SET … NX PX`.
    private static func script(_ kind: Kind, count: Int) -> RedisScript? {
        switch kind {
        case .acquire: count == 1 ? nil : LockScripts.acquire
        case .extend: LockScripts.extend
        case .release: LockScripts.release
        }
    }

    private static func set(_ name: String, _ token: String, _ ttl: Duration) -> RedisCommand {
        var encoder = CommandEncoder(count: 6)
        encoder.append("SET")
        encoder.append(name)
        encoder.append(token)
        encoder.append("NX")
        encoder.append("PX")
        encoder.append(Int(ttl.milliseconds))
        return RedisCommand(encoder)
    }

    private static func command(
        _ command: String,
        _ script: String,
        _ kind: Kind,
        _ names: [String],
        _ token: String,
        _ ttl: Duration
    ) -> RedisCommand {
        var encoder = CommandEncoder(
            count: 4 + names.count + (kind == .release ? 0 : 1),
            capacity: script.utf8.count + 192
        )
        encoder.append(command)
        encoder.append(script)
        encoder.append(names.count)
        for name in names { encoder.append(name) }
        encoder.append(token)
        if kind != .release { encoder.append(Int(ttl.milliseconds)) }
        return RedisCommand(encoder)
    }
}
