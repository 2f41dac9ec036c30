/// Changes the width (`rows`: along every row) or the height of a picture with Pillow's antialiased filters.
func resampled(_ picture: Pixels, to wanted: Int, filter: Preprocessing.Filter, rows: Bool) -> Pixels {
    let size = rows ? picture.width : picture.height
    var result = picture
    if rows { result.width = wanted } else { result.height = wanted }
    result.bytes = [UInt8](repeating: 0, count: result.width * result.height * picture.channels)

    // How far apart two neighbours lie: along the axis that changes, and from line to line across it.
    let step = rows ? picture.channels : picture.width * picture.channels
    let lines = rows ? picture.height : picture.width * picture.channels
    let across = (from: rows ? picture.width * picture.channels : 1, to: rows ? wanted * picture.channels : 1)
    let depth = rows ? picture.channels : 1

    let taps = filter == .nearest ? nearest(size, wanted) : taps(size, wanted, filter)
    picture.bytes.withUnsafeBufferPointer { source in
        result.bytes.withUnsafeMutableBufferPointer { target in
            for line in 0..<lines {
                for (index, tap) in taps.enumerated() {
                    for channel in 0..<depth {
                        let start = line * across.from + tap.first * step + channel
                        var sum = 1 << 21
                        for (offset, weight) in tap.weights.enumerated() {
                            sum += weight * Int(source[start + offset * step])
                        }
                        target[line * across.to + index * step + channel] = UInt8(min(max(sum >> 22, 0), 255))
                    }
                }
            }
        }
    }
    return result
}

/// The pixels that one output pixel is made of: the first, and the weights of it and those behind it, times 2^22.
private struct Tap {
    let first: Int
    let weights: [Int]
}

private func nearest(_ size: Int, _ wanted: Int) -> [Tap] {
    let scale = Double(size) / Double(wanted)
    var position = scale / 2
    return (0..<wanted).map { _ in
        // Added up from pixel to pixel, as Pillow does: a product would round to another pixel now and then.
        defer { position += scale }
        return Tap(first: min(Int(position), size - 1), weights: [1 << 22])
    }
}

private func taps(_ size: Int, _ wanted: Int, _ filter: Preprocessing.Filter) -> [Tap] {
    let scale = Double(size) / Double(wanted)
    let stretch = max(scale, 1)
    let reach = stretch * (filter == .bicubic ? 2 : 1)
    return (0..<wanted).map { index in
        let center = (Double(index) + 0.5) * scale
        let first = Int(max(center - reach + 0.5, 0)), end = Int(min(center + reach + 0.5, Double(size)))
        let raw = (first..<end).map { weight((Double($0) - center + 0.5) * (1 / stretch), filter) }
        let total = raw.reduce(0, +)
        return Tap(first: first, weights: raw.map { value in
            let scaled = (total != 0 ? value / total : value) * Double(1 << 22)
            return Int(scaled < 0 ? scaled - 0.5 : scaled + 0.5)
        })
    }
}

private func weight(_ position: Double, _ filter: Preprocessing.Filter) -> Double {
    let x = abs(position)
    if filter == .bilinear { return max(1 - x, 0) }
    if x < 1 { return (1.5 * x - 2.5) * x * x + 1 }
    return x < 2 ? (((x - 5) * x + 8) * x - 4) * -0.5 : 0
}
