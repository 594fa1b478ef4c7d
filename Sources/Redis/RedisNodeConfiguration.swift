/// What a ``RedisNode`` is made with.
package struct RedisNodeConfiguration: Sendable {
    /// How long a connection may take from the name's look-up until it is ready for commands (default: 2 s).
    package var connectTimeout = Duration.seconds(2)
    /// How long nothing may come from the node while replies are owed, before the connection is closed (default: 10 s).
    ///
    /// Longer than the slowest command may take: all that waits on the connection fails with it.
    package var silenceLimit = Duration.seconds(10)
    /// The pause after the first failed connection; it doubles with each further one (default: 50 ms).
    package var reconnectPause = Duration.milliseconds(50)
    /// The longest pause between two connections (default: 2 s).
    package var maximumReconnectPause = Duration.seconds(2)
    /// How many commands may wait for replies, those whose callers gave up included (default: 200,000).
    package var maximumCommands = 200_000
    /// How many bytes may wait to be written (default: 64 MiB).
    package var maximumBytes = 64 << 20
    /// What the node calls the connection in `CLIENT LIST`; without spaces (default: `holdfast`).
    package var clientName = "holdfast"
    /// What the node is made to know on each connection, before anything else is sent (default: none).
    package var scripts: [RedisScript] = []
    /// A key under which each node gets a text of its own, by which one that has forgotten its data is known (default: none).
    package var identityKey: String?
    /// What a reply may be at most.
    package var replyLimits = ReplyParser.Limits()
    /// Is told of every change (default: nobody is).
    ///
    /// Called on the node's event loop: it must return at once. `connected` is told before the first command is sent
    /// on the new connection, so that a node which was restarted can be shut out before it votes.
    package var onStateChange: @Sendable (RedisNodeState) -> Void = { _ in }

    /// Is called once commands are sent on a new connection (default: nobody is).
    ///
    /// On the node's event loop, as `onStateChange`.
    package var onReady: @Sendable () -> Void = {}

    /// The defaults.
    package init() {}
}

/// Whether a node can be asked.
package enum RedisNodeState: Sendable, Hashable {
    /// Commands are sent.
    ///
    /// What the node said of itself; `nil` when it may not be asked (an ACL without `INFO`).
    case connected(RedisServerInfo?)
    /// There is no connection, for this reason; told again when the kind of reason changes.
    case lost(RedisError)
}
