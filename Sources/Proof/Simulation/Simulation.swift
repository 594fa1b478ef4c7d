package import FaultChecking
import Randomness

/// One run of locks, holds and fenced writes in a virtual world, which follows from a seed.
package enum Simulation {
    /// What a run came to.
    package struct Outcome: Sendable {
        /// What was found to be wrong; empty when nothing was.
        package let violations: [Violation]
        /// The same for the same seed, and hardly for any other: of all that happened, in its order.
        package let digest: UInt64
        /// How many things happened.
        package let steps: Int
        /// How many holds there were.
        package let holds: Int
        /// Which outcomes came under which faults.
        package let coverage: Coverage
    }

    /// Runs it; nothing else happens on the thread meanwhile.
    ///
    /// - Parameters:
    ///   - seed: What all follows from.
    ///   - note: Told of what happens, with the true time in seconds; `nil` when nobody wants to know.
    /// - Returns: What it came to.
    package static func run(seed: UInt64, note: ((String) -> Void)? = nil) -> Outcome {
        World(SeededRandom(state: seed), note).run()
    }
}
