/// The settings that there are, by their keys in a configuration file, and what the environment calls them.
enum SettingNames {
    static let all: Set<String> = [
        "database.url", "database.preparedStatements", "database.listenURL", "lock.nodes", "value.node",
        "intake.port", "intake.host", "intake.simulatedJobMs", "intake.access", "intake.tlsCertificate",
        "intake.tlsKey",
        "intake.maxConnections", "intake.waitingMb", "intake.headSeconds", "intake.bodySeconds",
        "intake.requestSeconds",
        "intake.writeSeconds", "intake.idleSeconds", "intake.drainDelaySeconds", "intake.drainSeconds",
        "worker.slots", "worker.queues", "worker.name", "worker.drainSeconds", "worker.healthPort", "worker.healthHost",
        "retention.finishedDays", "retention.historyDays", "log.level", "log.format",
    ]

    /// Variables of the environment that are no settings of a part.
    private static let others: Set<String> = ["HOLDFAST_CONFIG", "HOLDFAST_POSTGRES_BIN", "HOLDFAST_PLANTED_BUG"]
    private static let prefix = "HOLDFAST_"

    /// What the environment calls a setting: `HOLDFAST_WORKER_HEALTH_PORT` is `worker.healthPort`.
    static func variable(_ key: String) -> String {
        var name = prefix
        var last: Character = "."
        for character in key {
            if last.isLowercase, character.isUppercase { name.append("_") }
            name += character == "." ? "_" : character.uppercased()
            last = character
        }
        return name
    }

    /// Checks that every variable of the environment that looks like a setting is one.
    ///
    /// - Throws: ``InvalidSetting``, with the one that it may have been meant for.
    static func check(_ environment: [String: String]) throws(InvalidSetting) {
        let variables = Set(all.map(variable)).union(others)
        for (name, value) in environment.sorted(by: { $0.key < $1.key })
        where name.hasPrefix(prefix) && !variables.contains(name) && !isServiceLink(name, value) {
            throw unknown(name, among: variables, kind: "environment")
        }
    }

    /// Checks that every key of a configuration file is a setting.
    ///
    /// - Throws: As ``check(_:)``.
    static func check(keys: Set<String>, of file: String) throws(InvalidSetting) {
        guard let key = keys.subtracting(all).min() else { return }
        throw unknown(key, among: all, kind: "configuration file \(file)")
    }

    /// Kubernetes sets such variables for each service of the namespace; one may be called holdfast-something.
    private static func isServiceLink(_ name: String, _ value: String) -> Bool {
        name.hasSuffix("_SERVICE_HOST") || name.contains("_SERVICE_PORT")
            || name.contains(#/_PORT_[0-9]+_(TCP|UDP|SCTP)/#)
            || name.hasSuffix("_PORT") && value.contains("://")
    }

    private static func unknown(_ name: String, among known: Set<String>, kind: String) -> InvalidSetting {
        let nearest = known.sorted().min { name.edits(to: $0) < name.edits(to: $1) }
        let guess =
            nearest.flatMap { name.edits(to: $0) <= max(3, name.count / 4) ? "did you mean \($0)? " : nil } ?? ""
        return InvalidSetting("There is no setting \(name), which the \(kind) has; \(guess)README lists all.")
    }
}

extension String {
    /// How many letters have to be put in, taken out or changed to make another text of this one (Levenshtein).
    func edits(to other: String) -> Int {
        let (old, new) = (Array(lowercased()), Array(other.lowercased()))
        var row = Array(0...new.count)
        for (i, letter) in old.enumerated() {
            var diagonal = row[0]
            row[0] = i + 1
            for (j, wanted) in new.enumerated() {
                let change = diagonal + (letter == wanted ? 0 : 1)
                diagonal = row[j + 1]
                row[j + 1] = Swift.min(change, row[j] + 1, row[j + 1] + 1)
            }
        }
        return row[new.count]
    }
}
