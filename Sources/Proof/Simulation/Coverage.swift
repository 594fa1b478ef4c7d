/// What simulations have reached: which outcomes came while which faults were felt.
package struct Coverage: Sendable {
    /// What may be done to a simulated system.
    package enum Fault: String, Sendable, CaseIterable {
        /// No other fault was felt.
        case none
        case messagesLost = "messages lost"
        case processFrozen = "process frozen"
        case processKilled = "process killed"
        case linkCut = "link cut"
        case nodeFrozen = "node frozen"
        case nodeRestarted = "node restarted"
        case nodeClock = "node's clock"
        case wallClock = "wall clock"
        case databaseFrozen = "database frozen"
        case databaseAway = "database away"
        case databaseClock = "database's clock"
    }

    /// How long a fault is felt when it is over, in nanoseconds.
    static let echo = 2000 * Weather.millisecond

    private var counts: [String: [Fault: Int]] = [:]

    package init() {}

    /// How often an outcome came.
    package func count(of outcome: String) -> Int { counts[outcome, default: [:]].values.reduce(0, +) }

    /// Takes in that an outcome came while some faults were felt.
    mutating func note(_ outcome: String, during faults: Set<Fault>) {
        for fault in faults.isEmpty ? [.none] : faults { counts[outcome, default: [:]][fault, default: 0] += 1 }
    }

    /// Adds what another simulation reached.
    package mutating func add(_ other: Coverage) {
        for (outcome, faults) in other.counts {
            counts[outcome, default: [:]].merge(faults) { $0 + $1 }
        }
    }

    /// A table: a row for each outcome, a column for each fault.
    package var table: String {
        let names = counts.keys.sorted()
        let width = names.map(\.count).max() ?? 0
        let columns = Fault.allCases
        let head = String(repeating: " ", count: width) + columns.map { "  \($0.rawValue)" }.joined()
        let rows = names.map { name in
            name + String(repeating: " ", count: width - name.count)
                + columns.map { fault in
                    let count = "\(counts[name]?[fault] ?? 0)"
                    return "  " + String(repeating: " ", count: max(0, fault.rawValue.count - count.count)) + count
                }.joined()
        }
        return ([head] + rows).joined(separator: "\n")
    }
}
