import type { Figure } from './harness.ts'

// Medium tones, readable on light and dark pages.
const TEXT = '#7a8490'
const GRID = '#7a849055'
const COLOURS = ['#2f81f7', '#e8702a', '#2da44e', '#a371f7']
const LIMIT_COLOUR = '#8b949e'
const WIDTH = 760
const LEFT = 250
const RIGHT = 120
const ROW = 30
const TOP = 44

/** A bar for each figure up to its median, with a thin line from its minimum to its maximum. */
export function bars (title: string, figures: Figure[]): string {
  const most = Math.max(...figures.map(({ max }) => max))
  const scale = (value: number) => LEFT + value / most * (WIDTH - LEFT - RIGHT)
  const sorted = figures.toSorted((a, b) => b.median - a.median)

  return svg(title, TOP + sorted.length * ROW + 10, sorted.flatMap(({ place, median, min, max }, i) => {
    const y = TOP + i * ROW
    return [
      text(LEFT - 10, y + 15, place?.name ?? '', 'end'),
      `<rect x="${LEFT}" y="${y}" width="${at(scale(median) - LEFT)}" height="20" rx="2" fill="${place?.isLimit ? LIMIT_COLOUR : COLOURS[0]}"/>`,
      line(scale(min), y + 10, scale(max), y + 10, TEXT),
      text(scale(Math.max(median, max)) + 8, y + 15, median.toLocaleString('en'))
    ]
  }))
}

export interface Axes {
  /** Labels a point of x. */
  label: (x: number) => string
  /** The horizontal lines, from bottom to top. */
  ticks: number[]
  unit: string
  isLogarithmic?: boolean
}

/** A line for each name among the figures, with the spread at each point. */
export function lines (title: string, figures: Figure[], { label, ticks, unit, isLogarithmic = false }: Axes): string {
  const left = 70
  const bottom = 300
  const names = [...new Set(figures.map(({ place }) => place?.name ?? ''))]
  const xs = [...new Set(figures.map(({ place }) => place?.x ?? 0))].sort((a, b) => a - b)
  const top = TOP + names.length * 20 + 10
  const measure = isLogarithmic ? Math.log10 : Number
  const [lowest = 0, highest = 1] = [ticks[0], ticks.at(-1)].map((tick) => measure(tick!)) // there are ticks
  const scaleX = (x: number) => left + 40 + xs.indexOf(x) / Math.max(1, xs.length - 1) * (WIDTH - left - 100)
  const scaleY = (y: number) => bottom - Math.min(1, Math.max(0, (measure(y) - lowest) / (highest - lowest))) * (bottom - top)

  const series = names.flatMap((name, i) => {
    const points = figures.filter(({ place }) => place?.name === name)
    const colour = COLOURS[i % COLOURS.length]!
    return [
      `<circle cx="${left}" cy="${TOP + i * 20}" r="5" fill="${colour}"/>`,
      text(left + 12, TOP + 4 + i * 20, name),
      `<polyline fill="none" stroke="${colour}" stroke-width="2" points="${points.map(({ place, median }) => `${at(scaleX(place?.x ?? 0))},${at(scaleY(median))}`).join(' ')}"/>`,
      ...points.flatMap(({ place, median, min, max }) => {
        const x = scaleX(place?.x ?? 0) + (i - (names.length - 1) / 2) * 5 // side by side, so that spreads do not cover one another
        return [line(x, scaleY(min), x, scaleY(max), colour), `<circle cx="${at(x)}" cy="${at(scaleY(median))}" r="4" fill="${colour}"/>`]
      })
    ]
  })

  return svg(title, bottom + 40, [
    ...ticks.flatMap((tick) => [line(left, scaleY(tick), WIDTH - 20, scaleY(tick), GRID), text(left - 8, scaleY(tick) + 4, `${tick}${unit}`, 'end')]),
    ...xs.map((x) => text(scaleX(x), bottom + 22, label(x), 'middle')),
    ...series
  ])
}

function svg (title: string, height: number, parts: string[]): string {
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" font-family="system-ui, 'DejaVu Sans', sans-serif" font-size="13" role="img">`,
    `<title>${escapeXml(title)}</title>`,
    `<text x="10" y="22" font-size="15" font-weight="600" fill="${TEXT}">${escapeXml(title)}</text>`,
    ...parts,
    '</svg>\n'
  ].join('\n')
}

function text (x: number, y: number, content: string, anchor = 'start'): string {
  return `<text x="${at(x)}" y="${at(y)}" text-anchor="${anchor}" fill="${TEXT}">${escapeXml(content)}</text>`
}

function line (x1: number, y1: number, x2: number, y2: number, colour: string): string {
  return `<line x1="${at(x1)}" y1="${at(y1)}" x2="${at(x2)}" y2="${at(y2)}" stroke="${colour}" stroke-width="1.5"/>`
}

function at (value: number): string {
  return value.toFixed(1)
}

function escapeXml (content: string): string {
  return content.replaceAll('&', '&amp;').replaceAll('<', '&lt;')
}
