package import Redis

/// Whether a node is set up as its role needs it, by what it says of itself.
package enum NodeFitness {
    /// Where each lock node has a text of its own: see `RedisServerInfo.identity`.
    package static let identityKey = "holdfast:node"

    /// Why a node can be no value node; `nil` when it can, or may not be asked.
    package static func misfit(asValueNode info: RedisServerInfo?) -> NodeRefusal? {
        guard let info, info.mode != "standalone" else { return nil }
        return NodeRefusal(code: "CLUSTER", message: "it runs in \(info.mode) mode: name a server that does not")
    }

    /// Why a node can be no lock node; `nil` when it can, or may not be asked.
    package static func misfit(asLockNode info: RedisServerInfo?) -> NodeRefusal? {
        guard let info else { return nil }
        if let misfit = misfit(asValueNode: info) { return misfit }
        // A replica may have been told to take writes: they are gone as soon as it hears from its primary.
        if info.role != "master" {
            return NodeRefusal(
                code: "REPLICA",
                message: "it is a replica: name its primary, or make it one (REPLICAOF NO ONE)"
            )
        }
        return nil
    }

    /// What a lock node should be told otherwise, in words.
    package static func warnings(ofLockNode info: RedisServerInfo?) -> [String] {
        guard let info else {
            return [unasked + "; each connection counts as a restart, so it has no vote for a minute"]
        }
        var warnings = [eviction(info, "a lock")].compactMap(\.self)
        if let persistence = info.persistence {
            if persistence.isLogged, persistence.sync == "always", persistence.skipsSyncOnRewrite {
                warnings.append(
                    "no-appendfsync-on-rewrite is yes: it may lose locks at a restart, so it has no vote for a minute then;"
                        + " set it to no"
                )
            }
        } else {
            warnings.append(
                "whether it persists is not known (CONFIG GET is forbidden): it has no vote after a restart"
            )
        }
        if info.identity == nil {
            warnings.append(
                "whether it has forgotten its data cannot be seen: SET or GET \(identityKey) is refused"
            )
        }
        return warnings
    }

    /// What the value node should be told otherwise, in words.
    package static func warnings(ofValueNode info: RedisServerInfo?) -> [String] {
        guard let info else { return [unasked] }
        var warnings = [eviction(info, "a value, or its fence")].compactMap(\.self)
        switch info.persistence {
        case nil: warnings.append("whether it persists is not known: CONFIG GET is forbidden")
        case let persistence? where !persistence.isLogged:
            warnings.append(
                "appendonly is no: a restart forgets values and fences; set it to yes, and appendfsync to always"
            )
        case let persistence? where persistence.sync != "always":
            warnings.append(
                "appendfsync is \(persistence.sync): a loss of power forgets the last values and fences; set it to always"
            )
        case let persistence? where persistence.skipsSyncOnRewrite:
            warnings.append(
                "no-appendfsync-on-rewrite is yes: a loss of power may forget the last values and fences; set it to no"
            )
        default: break
        }
        return warnings
    }

    private static let unasked =
        "what it is could not be checked (INFO is forbidden): a replica, a cluster, a server that is named twice, eviction"

    private static func eviction(_ info: RedisServerInfo, _ what: String) -> String? {
        guard info.evictionPolicy != "noeviction" else { return nil }
        let when = info.maximumMemory == 0 ? "once it has a maxmemory" : "when it is full"
        return "maxmemory-policy is \(info.evictionPolicy): it forgets \(what), \(when); set it to noeviction"
    }
}
