#!/usr/bin/env python3
"""Opens pages in a browser: three widths, light and dark.

  look.py program PROGRAM DATA [--axe axe.min.js]    those that the program writes; DATA: tests/golden/data
  look.py site DIRECTORY PAGE... [--axe axe.min.js]  some of a built site

On each page nothing may reach beyond the window, all text has the contrast of WCAG AA, links lead
somewhere, pictures and audio can be decoded, and axe-core, where it is, finds nothing. Exit status 77: there is no browser.
"""
import argparse
import html
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

BROWSERS = ["chromium-headless-shell", "chromium", "chromium-browser", "google-chrome"]
WIDTHS = [360, 768, 1280]

AUDIT = r"""
(async () => {
  const problems = [];
  const root = document.querySelector(ROOT);
  const width = document.documentElement.clientWidth;
  if (matchMedia('(prefers-color-scheme: dark)').matches !== DARK) problems.push('the browser shows the other scheme');
  if (document.documentElement.scrollWidth > width) {
    problems.push('the page is ' + document.documentElement.scrollWidth + ' wide');
  }
  for (const details of document.querySelectorAll('details')) details.open = true;
  const numbers = (color) => (color.match(/[\d.]+/g) || []).map(Number);
  const luminance = (rgb) => rgb.slice(0, 3).map((v) => v / 255)
      .map((v) => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
      .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const scrolls = (element) => {
    for (let at = element; at; at = at.parentElement) {
      if (['auto', 'scroll'].includes(getComputedStyle(at).overflowX)) return true;
    }
    return false;
  };
  const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
  let texts = 0;
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const element = node.parentElement;
    if (!node.data.trim() || element.closest('script, style, caption, thead, svg')) continue;
    const range = document.createRange();
    range.selectNodeContents(node);
    const box = range.getBoundingClientRect();
    if (box.width === 0) continue;
    ++texts;
    const what = JSON.stringify(node.data.trim().slice(0, 40));
    if ((box.right > width + 1 || box.left < -1) && !scrolls(element)) {
      problems.push(what + ' is off screen, at ' + Math.round(box.right));
    }
    let ground = [255, 255, 255];
    for (let at = element; at; at = at.parentElement) {
      const color = numbers(getComputedStyle(at).backgroundColor);
      if (color.length === 3 || color[3] === 1) { ground = color; break; }
    }
    const [a, b] = [luminance(numbers(getComputedStyle(element).color)), luminance(ground)];
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (contrast < 4.5) problems.push(what + ' has a contrast of ' + contrast.toFixed(2));
  }
  if (texts < 20) problems.push('there are only ' + texts + ' texts');
  for (const link of root.querySelectorAll('a[href^="#"]')) {
    if (!document.getElementById(link.getAttribute('href').slice(1))) problems.push(link.getAttribute('href') + ' leads nowhere');
  }
  for (const image of document.images) {
    await image.decode().catch(() => problems.push('a picture cannot be decoded: ' + image.alt));
  }
  for (const audio of document.querySelectorAll('audio')) {
    await new Promise((done) => {
      if (audio.readyState > 0 || audio.error) return done();
      audio.onloadedmetadata = audio.onerror = done;
      audio.load();
    });
    if (audio.error || !(audio.duration > 0)) problems.push('audio cannot be played');
  }
  if (window.axe) {
    const result = await axe.run(root, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'best-practice']});
    for (const found of result.violations) {
      problems.push('axe: ' + found.id + ': ' + found.help + ': ' + found.nodes.slice(0, 3).map((n) => n.html.slice(0, 120)).join(' | '));
    }
  }
  parent.postMessage({width: WIDTH, problems}, '*');
})().catch((error) => parent.postMessage({width: WIDTH, problems: ['the audit failed: ' + error]}, '*'));
"""


def wrapper(page, root, axe, dark):
    """A page of frames of each width that collects what the audits say."""
    frames = []
    for width in WIDTHS:
        audit = AUDIT.replace("ROOT", json.dumps(root)).replace("DARK", json.dumps(dark)).replace("WIDTH", str(width))
        text = page.replace("</body>", f"<script>{axe}</script><script>{audit}</script></body>")
        frames.append(f'<iframe style="width:{width}px;height:900px" srcdoc="{html.escape(text)}"></iframe>')
    return ("<!DOCTYPE html><meta charset=utf-8><pre id=found></pre><script>addEventListener('message', (event) => {"
            "document.getElementById('found').textContent += JSON.stringify(event.data) + '\\n';});</script>" + "".join(frames))


def look(browser, page, root, axe, dark, work):
    name = os.path.join(work, "look.html")
    with open(name, "w", encoding="utf-8") as file:
        file.write(wrapper(page, root, axe, dark))
    run = subprocess.run(
        [browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars",
         f"--user-data-dir={work}/profile", f"--blink-settings=preferredColorScheme={0 if dark else 1}",
         "--window-size=1400,1000", "--virtual-time-budget=60000", "--dump-dom", "file://" + name],
        capture_output=True, text=True, timeout=600)
    found = re.search(r'<pre id="found">(.*?)</pre>', run.stdout, re.S)
    lines = html.unescape(found.group(1)).splitlines() if found else []
    answers = {answer["width"]: answer["problems"] for answer in map(json.loads, lines)}
    for width in WIDTHS:
        if width not in answers:
            answers[width] = ["the page gave no answer: " + run.stderr[-300:]]
    return answers


def pages(program, data, work):
    """Name and text of each page."""
    script = os.path.join(work, "run.yaml")
    with open(script, "w", encoding="utf-8") as file:
        file.write(f"""version: 1
stages:
  codec: {{export: '{data}/encodec_train.th'}}
  "bundle-${{n}}":
    matrix: {{n: [one, two]}}
    bundle: {{lm: '{data}/musicgen_train.th', compression: codec}}
    to: out/a-rather-long-name-of-a-directory-that-has-to-be-broken/${{n}}
  verify: {{verify: bundle-one}}
  fails: {{command: [sh, -c, 'echo what went wrong; exit 3']}}
  blocked: {{needs: fails, command: [echo]}}
""")
    subprocess.run([program, "run", script, "--keep-going", "-q", "--report", work], stderr=subprocess.DEVNULL)
    bundle = os.path.join(work, "out/a-rather-long-name-of-a-directory-that-has-to-be-broken/one")
    half = os.path.join(work, "half")
    subprocess.run([program, "-q", "bundle", "--lm", data + "/musicgen_train.th", "--compression", data + "/encodec_train.th",
                    "--for", "compression:dtype=float16", "-o", half], check=True)
    verified = os.path.join(work, "verified.html")
    command = [program, "-q", "verify", half, "--against", bundle, "--report", verified]
    if subprocess.run(command + ["--run", "--seconds", "2"], stderr=subprocess.PIPE).returncode not in (0, 4):
        print("without a codec: no plugin runs it")
        subprocess.run(command)
    for name in ("report.html", "verified.html"):
        with open(os.path.join(work, name), encoding="utf-8") as file:
            yield name, file.read()


def site_pages(directory, names):
    """Name and text of each page, whose links start where it lies."""
    for name in names:
        place = os.path.join(os.path.abspath(directory), name)
        with open(place, encoding="utf-8") as file:
            yield name, file.read().replace("<head>", f'<head><base href="file://{place}">', 1)


def main():
    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers(dest="of", required=True)
    of_program = commands.add_parser("program")
    of_program.add_argument("program")
    of_program.add_argument("data")
    of_site = commands.add_parser("site")
    of_site.add_argument("directory")
    of_site.add_argument("pages", nargs="+")
    for command in (of_program, of_site):
        command.add_argument("--axe", default="")
    arguments = parser.parse_args()
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        print("SKIPPED: there is none of " + ", ".join(BROWSERS))
        return 77
    if arguments.of == "site" and not os.path.exists(arguments.directory):
        print("SKIPPED: the site is not built")
        return 77
    axe = ""
    if arguments.axe and os.path.exists(arguments.axe):
        with open(arguments.axe, encoding="utf-8") as file:
            axe = file.read().replace("</script", "<\\/script")
    print("axe-core: " + ("yes" if axe else "not there; contrast, widths, links and media are looked at all the same"))
    failed = False
    with tempfile.TemporaryDirectory() as work:
        if arguments.of == "site":  # what is around its articles is the theme's
            root, looked_at = "article", site_pages(arguments.directory, arguments.pages)
        else:
            root, looked_at = "body", pages(arguments.program, os.path.abspath(arguments.data), work)
        for name, page in looked_at:
            for dark in (False, True):
                for width, problems in look(browser, page, root, axe, dark, work).items():
                    print(name, "dark" if dark else "light", width, "ok" if not problems else "")
                    for problem in problems[:8]:
                        print("   ", problem)
                    failed = failed or bool(problems)
    return 1 if failed else 0


sys.exit(main())
