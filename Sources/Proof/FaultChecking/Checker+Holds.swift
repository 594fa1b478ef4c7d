extension Checker {
    /// Holds of one key follow each other, with rising fences, and each is over.
    func holds() -> [Violation] {
        var violations: [Violation] = []
        for (key, holds) in Dictionary(grouping: evidence.holds, by: \.key) {
            let holds = holds.sorted { ($0.acquiredAt, $0.fence) < ($1.acquiredAt, $1.fence) }
            for (one, next) in zip(holds, holds.dropFirst()) {
                if next.fence <= one.fence {
                    violations.append(Violation(.fences, "on \(key), \(next.fence) was acquired after \(one.fence)"))
                }
                if next.acquiredAt < one.endedAt ?? one.validUntil {
                    violations.append(
                        Violation(.overlap, "on \(key), \(one.fence) lasted when \(next.fence) was acquired")
                    )
                }
            }
            for hold in holds where hold.endedAt == nil && hold.validUntil > evidence.readAt {
                violations.append(Violation(.open, "on \(key), \(hold.fence) has not ended"))
            }
        }
        return violations
    }

    /// No task goes on working once a later one of its key has begun, or a foreign client holds the lock.
    ///
    /// One that was frozen, or starved of the processor, has a gap in its trace: it gets a grace from there.
    func atWork() -> [Violation] {
        var violations: [Violation] = []
        let foreign = Dictionary(grouping: evidence.foreignHolds, by: \.key)
        for (key, events) in Dictionary(grouping: evidence.trace.filter { !$0.isStubborn }, by: \.key) {
            let begun = evidence.trace.filter { $0.key == key && $0.kind == .begun }
            for (fence, lines) in Dictionary(grouping: events, by: \.fence) {
                let times = lines.map(\.atNanoseconds).sorted()
                var awakeSince = times[0]
                for (before, now) in zip(times, times.dropFirst()) {
                    if now - before > Self.grace { awakeSince = now }
                    let since = max(awakeSince, times[0]) + Self.grace
                    guard now > since else { continue }
                    if let other = begun.first(where: { $0.fence > fence && now > $0.atNanoseconds + Self.grace }) {
                        violations.append(
                            Violation(.atWork, "on \(key), \(fence) worked on after \(other.fence) had begun")
                        )
                        break
                    }
                    let held = foreign[key]?.first {
                        now > $0.fromNanoseconds + Self.grace && now < $0.untilNanoseconds
                    }
                    if held != nil {
                        violations.append(
                            Violation(.atWork, "on \(key), \(fence) worked on while a foreign client held it")
                        )
                        break
                    }
                }
            }
        }
        return violations
    }

    /// Nobody removes what another client has locked.
    func foreign() -> [Violation] {
        evidence.foreignHolds.filter { !$0.robbedOn.isEmpty }.map { hold in
            Violation(.robbed, "the foreign lock on \(hold.key) was gone on \(hold.robbedOn.joined(separator: ", "))")
        }
    }
}
