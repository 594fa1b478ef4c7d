extension Checker {
    /// Holds of one key follow each other, with rising fences, and each is over.
    func holds() -> [Violation] {
        guard !evidence.isClockStepped else { return [] }
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
        let begins = Dictionary(grouping: evidence.trace.filter { $0.kind == .begun }, by: \.key)
        for (key, events) in Dictionary(grouping: evidence.trace.filter { !$0.isStubborn }, by: \.key) {
            // By time; with each, the highest fence of all that had begun by then.
            let begun = (begins[key] ?? []).sorted { $0.atNanoseconds < $1.atNanoseconds }
            var highest: [Int64] = []
            for event in begun { highest.append(max(highest.last ?? .min, event.fence)) }
            for (fence, lines) in Dictionary(grouping: events, by: \.fence) {
                let times = lines.map(\.atNanoseconds).sorted()
                var awakeSince = times[0]
                for (before, now) in zip(times, times.dropFirst()) {
                    if now - before > Self.grace { awakeSince = now }
                    let since = max(awakeSince, times[0]) + Self.grace
                    guard now > since else { continue }
                    let count = begun.partitioningIndex { $0.atNanoseconds + Self.grace >= now }
                    if count > 0, highest[count - 1] > fence {
                        violations.append(
                            Violation(.atWork, "on \(key), \(fence) worked on after \(highest[count - 1]) had begun")
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

extension Array {
    /// The first index whose element is `isBeyond`, in an array whose first elements are not and whose others are.
    fileprivate func partitioningIndex(where isBeyond: (Element) -> Bool) -> Int {
        var (low, high) = (0, count)
        while low < high {
            let middle = (low + high) / 2
            if isBeyond(self[middle]) { high = middle } else { low = middle + 1 }
        }
        return low
    }
}
