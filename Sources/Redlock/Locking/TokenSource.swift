import Synchronization

/// Makes tokens that nobody else has used: 128 random bits of this process, and a number.
///
/// Random bits for each token would be a system call for each try.
final class TokenSource: Sendable {
    private let process: String
    private let count = Atomic<UInt64>(0)

    init() {
        process =
            String(UInt64.random(in: .min ... .max), radix: 36) + String(UInt64.random(in: .min ... .max), radix: 36)
    }

    func next() -> String {
        process + "." + String(count.add(1, ordering: .relaxed).newValue, radix: 36)
    }
}
