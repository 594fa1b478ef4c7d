/// A Lua script, and the name by which nodes that have run it know it.
package struct RedisScript: Sendable, Hashable {
    /// What one run of a script is given.
    package struct Input: Sendable {
        /// `KEYS` in the script.
        package var keys: [String]
        /// `ARGV` in the script.
        package var arguments: [any RedisArgument]

        /// Makes the input of one run.
        package init(keys: [String], arguments: [any RedisArgument] = []) {
            self.keys = keys
            self.arguments = arguments
        }
    }

    /// The Lua text.
    package let source: String
    /// Its SHA-1 in hexadecimal digits.
    package let hash: String

    /// Makes a script.
    ///
    /// The hash is computed here: make scripts once, not with each call.
    package init(_ source: String) {
        self.source = source
        hash = SHA1.hexDigest(source.utf8)
    }

    /// The command that runs it on a node that knows it.
    package func evaluationByHash(_ input: Input) -> RedisCommand { evaluation("EVALSHA", hash, input) }

    /// The command that runs it on any node, which then knows it.
    package func evaluationBySource(_ input: Input) -> RedisCommand { evaluation("EVAL", source, input) }

    private func evaluation(_ command: String, _ script: String, _ input: Input) -> RedisCommand {
        var encoder = CommandEncoder(
            count: 3 + input.keys.count + input.arguments.count,
            capacity: script.utf8.count + 192
        )
        encoder.append(command)
        encoder.append(script)
        encoder.append(input.keys.count)
        for key in input.keys { encoder.append(key) }
        for argument in input.arguments { argument.encode(into: &encoder) }
        return RedisCommand(encoder)
    }
}
