/** Days to places on one time axis, and the numbers and days of the pictures as the language writes them. */

/**
 * @typedef {{t: (key: string, values?: Record<string, string | number>) => string, language: "en" | "zh"}} Words
 * @typedef {{date: string, at?: string | null, value: number, comparator: string | null, ref: string, flag: "low" | "high" | null}} Point
 * @typedef {{analyte: string, title: string, unit: string, units: {unit: string, factor: number}[], points: Point[],
 *   band: {low: number | null, high: number | null, label: string} | null,
 *   limits: {name: string, value: number, label: string, source: string}[]}} Series
 * @typedef {{group: string, text: string, start: string | null, end: string | null, ongoing: boolean, dose: string | null, ref: string | null}} Exposure
 */

const DAY = 86_400_000;
const MONTH = 28 * DAY;
const YEAR = 365 * DAY;
const LEAST = 60 * DAY;
const TAGS = { en: "en-GB", zh: "zh-CN" };
/** Room around a picture, in pixels: numbers on the left, marks of limits on the right. */
export const MARGIN = { top: 18, right: 28, bottom: 22, left: 46 };

/** @returns {any} D3, which a classic script has loaded before any module runs */
export function d3() {
  return /** @type {any} */ (globalThis).d3;
}

/** @param {string} iso a day, or an instant @returns {Date} */
export function moment(iso) {
  return new Date(iso.length > 10 ? iso : `${iso}T00:00:00Z`);
}

/** @param {Point} point */
export function taken(point) {
  return moment(point.at ?? point.date);
}

/**
 * From when to when the pictures reach: all results, and of the courses before them as much as leaves room for results.
 * @param {Series[]} series
 * @param {Exposure[]} exposures
 * @param {Date} today
 * @returns {[Date, Date]}
 */
export function reach(series, exposures, today) {
  const results = series.flatMap(({ points }) => points.map((point) => taken(point).getTime()));
  const starts = exposures.flatMap(({ start, end }) => [start, end].filter((day) => day !== null).map((day) => moment(day ?? "").getTime()));
  const last = Math.max(today.getTime(), ...results, ...starts.filter((time) => time < today.getTime()));
  const firstResult = Math.min(last, ...results);
  const earliest = Math.min(firstResult, ...starts);
  const first = results.length === 0 ? earliest : Math.max(earliest, firstResult - Math.max((last - firstResult) / 4, LEAST));
  const width = Math.max(last - first, LEAST);
  return [new Date(last - width * 1.03), new Date(last + width * 0.03)];
}

/**
 * @param {[Date, Date]} domain
 * @param {number} width
 * @returns {any} a time scale of D3
 */
export function timeScale(domain, width) {
  return d3().scaleUtc().domain(domain).range([MARGIN.left, Math.max(width - MARGIN.right, MARGIN.left + 40)]);
}

/**
 * Draws the axis of days at the foot of a picture.
 * @param {any} svg a selection of D3
 * @param {any} x
 * @param {number} foot
 * @param {Words} words
 */
export function timeAxis(svg, x, foot, { language }) {
  const [left, right] = x.range();
  const wide = language === "zh" ? 76 : 64;
  let ticks = x.ticks(Math.max(2, Math.floor((right - left) / wide)));
  const years = d3().utcYear.count(...x.domain()) > 3;
  if (years) ticks = ticks.filter((/** @type {Date} */ tick) => tick.getUTCMonth() === 0);
  // D3 takes the number for a wish; labels that would touch are left out.
  const every = ticks.length > 1 ? Math.max(1, Math.ceil(wide / (x(ticks[1]) - x(ticks[0])))) : 1;
  ticks = ticks.filter((/** @type {Date} */ _, /** @type {number} */ at) => at % every === 0);
  const apart = ticks.length > 1 ? ticks[1] - ticks[0] : YEAR;
  const month = language === "zh" ? "numeric" : "short";
  const style = /** @type {Intl.DateTimeFormatOptions} */ (years ? { year: "numeric" } : apart < MONTH ? { month, day: "numeric" } : { year: "2-digit", month });
  const format = new Intl.DateTimeFormat(TAGS[language], { ...style, timeZone: "UTC" });
  const axis = svg.append("g").attr("class", "trend-axis").attr("transform", `translate(0,${foot})`).attr("aria-hidden", "true");
  axis.call(d3().axisBottom(x).tickValues(ticks).tickSizeOuter(0).tickSize(4).tickFormat((/** @type {Date} */ tick) => format.format(tick)));
}

/** @param {string} iso @param {Words} words */
export function dayIn(iso, { language }) {
  return new Intl.DateTimeFormat(TAGS[language], { dateStyle: "medium", timeZone: "UTC" }).format(moment(iso.slice(0, 10)));
}

/** @param {number} value @param {Words} words */
export function numberIn(value, { language }) {
  return new Intl.NumberFormat(TAGS[language], { maximumSignificantDigits: 4 }).format(value);
}

/** @param {Exposure} exposure @param {Words} words @returns {string} from when to when, in words */
export function periodOf({ start, end, ongoing }, words) {
  const { t } = words;
  if (start && end) return `${dayIn(start, words)} – ${dayIn(end, words)}`;
  if (start) return t(ongoing ? "trend_since" : "trend_from", { date: dayIn(start, words) });
  return end ? t("trend_until", { date: dayIn(end, words) }) : t("trend_undated");
}

/** @param {Exposure} exposure @param {Date} when @returns {boolean} whether it is known to have gone on at that time */
export function goesOn({ start, end, ongoing }, when) {
  if (start === null || moment(start) > when) return false;
  return end === null ? ongoing : moment(end).getTime() + DAY > when.getTime();
}
