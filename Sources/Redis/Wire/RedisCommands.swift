/// Commands that are sent back to back.
package struct RedisCommands: Sendable {
    let bytes: [UInt8]
    let count: Int

    init(_ command: RedisCommand) {
        bytes = command.bytes
        count = 1
    }

    /// Joins commands, in their order.
    package init(_ commands: some Collection<RedisCommand>) {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(commands.reduce(0) { $0 + $1.bytes.count })
        for command in commands { bytes.append(contentsOf: command.bytes) }
        self.bytes = bytes
        count = commands.count
    }
}
