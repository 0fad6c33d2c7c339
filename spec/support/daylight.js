// daylight.js - when a well-kept library, croner, has cron lines run where clocks are put forward or back.
//
//   node spec/support/daylight.js windows.json >ticks.json
//
// In: [{ "zone", "line", "from", "to" }], Unix seconds. Out: the ticks of each after `from`, up to `to`.
//
// Its rules are ours (docs/how-to/schedules.md) but for two, which are made the same here and nowhere else:
//
//   - A fixed time that the clock skips: it comes when the gap ends (02:30 at 03:00), with us it is later by as much as
//     the clock jumps (03:30). Such a tick is known by its clock, which is not what the line says.
//   - Several fixed hours (0 2,3 * * *): croner goes by the time that passes, as with *. With us each is a fixed time, and
//     two that fall on one another are one. So they are asked for apart, and united.
const { Cron } = require('croner');

const formats = {};

function offset(zone, seconds) { // of its clock to UTC, in seconds
  const format = formats[zone] ||= new Intl.DateTimeFormat('en-US', {
    timeZone: zone, hourCycle: 'h23', year: 'numeric', month: 'numeric', day: 'numeric',
    hour: 'numeric', minute: 'numeric', second: 'numeric',
  });
  const p = Object.fromEntries(format.formatToParts(seconds * 1000).map((x) => [x.type, Number(x.value)]));
  return Date.UTC(p.year, p.month - 1, p.day, p.hour, p.minute, p.second) / 1000 - seconds;
}

const secondOfDay = (seconds) => ((seconds % 86400) + 86400) % 86400;

function ofLine({ zone, from, to }, line) {
  const cron = new Cron(line, { timezone: zone, paused: true });
  const [minute, hour] = line.split(' ');
  const fixed = /^\d+$/.test(minute) && /^\d+$/.test(hour);
  const said = Number(hour) * 3600 + Number(minute) * 60;
  const ticks = [];
  let at = new Date((fixed ? from - 86400 : from) * 1000); // what is at the end of a gap may be later with us
  while ((at = cron.nextRun(at)) && at.getTime() / 1000 <= to) {
    let tick = at.getTime() / 1000;
    if (fixed && secondOfDay(tick + offset(zone, tick)) !== said) {
      tick += secondOfDay(said - secondOfDay(tick + offset(zone, tick - 1)));
    }
    if (tick > from && tick <= to) {
      ticks.push(tick);
    }
  }
  return ticks;
}

function ofWindow(window) {
  const [minute, hour, ...rest] = window.line.split(' ');
  const hours = /^\d+(,\d+)+$/.test(hour) && /^\d+$/.test(minute) ? hour.split(',') : [hour];
  const ticks = hours.flatMap((h) => ofLine(window, [minute, h, ...rest].join(' ')));
  return [...new Set(ticks)].sort((a, b) => a - b);
}

const windows = JSON.parse(require('fs').readFileSync(process.argv[2], 'utf8'));
process.stdout.write(JSON.stringify(windows.map(ofWindow)));
