import Logging

extension Settings {
    /// The logger that the settings ask for; libraries log through it too.
    func makeLogger(_ label: String) throws -> Logger {
        let levelName = try text("log.level") ?? "info"
        guard let level = Logger.Level(rawValue: levelName) else {
            let names = Logger.Level.allCases.map(\.rawValue).joined(separator: ", ")
            throw InvalidSetting("--log-level must be one of \(names), and is \(levelName).")
        }
        let formatName = try text("log.format") ?? "text"
        guard let format = LineLogHandler.Format(rawValue: formatName) else {
            throw InvalidSetting("--log-format must be text or json, and is \(formatName).")
        }
        return Logger(label: label) { LineLogHandler(label: $0, format: format, level: level) }
    }
}

extension Logger {
    /// For the connections of a command that ends soon: what is wrong with them is its own error, and said once.
    var forShortUse: Logger {
        guard logLevel >= .info else { return self }  // Somebody looks for what is wrong.
        var logger = self
        logger.logLevel = max(logLevel, .error)
        return logger
    }
}
