package import Redis

/// Why a node that answers does not do what it is asked for.
package struct NodeRefusal: Sendable, Hashable, CustomStringConvertible {
    /// The code of its error, as in `READONLY`; or a word of ours in capitals, where it says it otherwise.
    package let code: String
    /// What it says, or what is wrong with it, in a sentence.
    package let message: String

    package init(code: String, message: String) {
        self.code = code
        self.message = message
    }

    /// Takes an error as its answer.
    package init(_ error: RedisReplyError) {
        code = Self.code(of: error)
        message = error.message
    }

    private static func code(of error: RedisReplyError) -> String {
        guard error.code == "ERR" else { return error.code.isEmpty ? "ERR" : error.code }
        // Of what stops a script, a lack of a right has no code of its own; and servers before 7 wrap the others':
        // "ERR Error running script (…): …: -OOM command not allowed …".
        if error.message.contains("executing the script can't") { return "NOPERM" }
        return advice.keys.first { error.message.contains("-\($0) ") } ?? "ERR"
    }

    /// What it says, and what to do.
    package var description: String {
        let text = message.hasPrefix(code) ? message : "\(code) \(message)"
        return Self.advice[code].map { "\(text); \($0)" } ?? text
    }

    /// Whether the node itself is in trouble, whatever key it was asked about.
    package var isOfNode: Bool { Self.ofNode.contains(code) }

    private static let ofNode: Set<String> = [
        "READONLY", "OOM", "MISCONF", "NOREPLICAS", "LOADING", "MASTERDOWN", "BUSY", "UNKILLABLE", "NOAUTH",
        "CLUSTERDOWN",
        "TRYAGAIN",
    ]

    private static let advice = [
        "READONLY": "it is a replica: name its primary, or make it one (REPLICAOF NO ONE)",
        "OOM": "it is full: raise its maxmemory, or remove what else it stores",
        "MISCONF": "it cannot write to its disk: its log says why",
        "NOREPLICAS": "it wants more replicas (min-replicas-to-write) than it has",
        "LOADING": "it is loading its data, and will answer when it has",
        "MASTERDOWN": "it is a replica whose primary is away: name the primary",
        "NOPERM": "its user may not do what locks and values need: widen the ACL",
        "NOAUTH": "it wants a password: put one into its URL",
        "BUSY": "a script of somebody keeps it busy: SCRIPT KILL ends that",
        "UNKILLABLE": "a script of somebody keeps it busy, and has written: only SHUTDOWN NOSAVE ends that",
        "MOVED": "it is a node of a cluster: name a server that is none",
        "ASK": "it is a node of a cluster: name a server that is none",
        "CROSSSLOT": "it is a node of a cluster: name a server that is none",
        "CLUSTERDOWN": "it is a node of a cluster: name a server that is none",
    ]
}
