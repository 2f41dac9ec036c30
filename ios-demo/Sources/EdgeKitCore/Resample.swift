/// Changes the width (`rows`: along every row) or the height of a picture, as `edgekit/data/resample.py` describes it.
///
/// - Parameters:
///   - wanted: The new size.
///   - range: What of it is computed; the rest lies outside of the input.
func resampled(
    _ picture: Pixels, to wanted: Int, within range: Range<Int>, _ resize: Preprocessing.Resize, rows: Bool
) -> Pixels {
    let size = rows ? picture.width : picture.height
    if size == wanted && range == 0..<size { return picture }
    var result = picture
    if rows { result.width = range.count } else { result.height = range.count }
    result.bytes = [UInt8](repeating: 0, count: result.width * result.height * picture.channels)

    // How far apart two neighbours lie: along the axis that changes, and from line to line across it.
    let step = rows ? picture.channels : picture.width * picture.channels
    let lines = rows ? picture.height : picture.width * picture.channels
    let across = (from: rows ? picture.width * picture.channels : 1, to: rows ? range.count * picture.channels : 1)
    let depth = rows ? picture.channels : 1

    let taps = taps(size, wanted, range, resize)
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

private func taps(_ size: Int, _ wanted: Int, _ range: Range<Int>, _ resize: Preprocessing.Resize) -> [Tap] {
    let scale = Double(size) / Double(wanted)
    if size == wanted { return range.map { Tap(first: $0, weights: [1 << 22]) } }
    if resize.filter == .nearest { return Array(nearest(size, scale, range.upperBound).dropFirst(range.lowerBound)) }
    if resize.antialias ?? true { return range.map { wide($0, scale, size, resize.filter) } }
    return range.map { plain($0, scale, size, resize.filter) }
}

private func nearest(_ size: Int, _ scale: Double, _ count: Int) -> [Tap] {
    var position = scale / 2
    return (0..<count).map { _ in
        // Added up from pixel to pixel, as Pillow does: a product would round to another pixel now and then.
        defer { position += scale }
        return Tap(first: min(Int(position), size - 1), weights: [1 << 22])
    }
}

/// The pixels under a filter that widens where a picture becomes smaller.
private func wide(_ index: Int, _ scale: Double, _ size: Int, _ filter: Preprocessing.Filter) -> Tap {
    let stretch = max(scale, 1)
    let reach = stretch * (filter == .bicubic ? 2 : 1)
    let center = (Double(index) + 0.5) * scale
    let first = Int(max(center - reach + 0.5, 0)), end = Int(min(center + reach + 0.5, Double(size)))
    let raw = (first..<end).map { weight((Double($0) - center + 0.5) * (1 / stretch), filter, -0.5) }
    let total = raw.reduce(0, +)
    return Tap(first: first, weights: raw.map { fixed(total != 0 ? $0 / total : $0) })
}

/// The two or four pixels around a place, those beyond the edge as the one at the edge.
private func plain(_ index: Int, _ scale: Double, _ size: Int, _ filter: Preprocessing.Filter) -> Tap {
    let center = (Double(index) + 0.5) * scale - 0.5
    let base = center.rounded(.down)
    let around = filter == .bicubic ? -1...2 : 0...1
    let pixels = around.map { min(max(Int(base) + $0, 0), size - 1) }
    var weights = [Int](repeating: 0, count: pixels[pixels.count - 1] - pixels[0] + 1)
    for (offset, pixel) in zip(around, pixels) {
        weights[pixel - pixels[0]] += fixed(weight(Double(offset) - (center - base), filter, -0.75))
    }
    return Tap(first: pixels[0], weights: weights)
}

/// A weight as an integer, rounded half away from zero.
private func fixed(_ weight: Double) -> Int {
    let scaled = weight * Double(1 << 22)
    return Int(scaled < 0 ? scaled - 0.5 : scaled + 0.5)
}

private func weight(_ position: Double, _ filter: Preprocessing.Filter, _ a: Double) -> Double {
    let x = abs(position)
    if filter == .bilinear { return max(1 - x, 0) }
    if x < 1 { return ((a + 2) * x - (a + 3)) * x * x + 1 }
    return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0
}
