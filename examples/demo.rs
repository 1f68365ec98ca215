//! demo
use examples::*;
fn noise(s: &mut u64) -> f64 {
    let mut g = 0.0;
    for _ in 0..12 {
        *s = s.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        g += (*s >> 11) as f64 / 9007199254740992.0;
    }
    g - 6.0
}
fn main() -> std::process::ExitCode {
    run("demo", "demo", |args| {
        check_writable(args.out())?;
        let mut s = 1u64;
        let n = 200;
        let t: Vec<f64> = (0..=n).map(|i| i as f64 / n as f64).collect();
        let xi = |t: f64| (10f64.powf(2.0 * t) - 1.0) / (2.0 * 10f64.ln());
        let k2: Vec<f64> = t.iter().map(|&t| 1.0625 + xi(t)).collect();
        let tn: Vec<f64> = t.iter().step_by(8).copied().collect();
        let k2n: Vec<f64> = tn.iter().map(|&t| (1.0625 + xi(t)) * (1.0 + 0.005 * noise(&mut s))).collect();
        let err: Vec<f64> = k2n.iter().map(|k| 0.005 * k).collect();
        let back: Vec<f64> = t.iter().map(|&u| (1.0625 + xi(u)) * 1.003).collect();
        let fwd = Panel::new("Forward process", "t", "κ₂(t) / κ₂(0)")
            .markers("10⁵ trajectories", &tn, &k2n, &err)
            .exact("exact", &t, &k2)
            .legend(Corner::TopLeft);
        let zoom =
            Panel::new("", "", "").line("", &t, &back).line("", &t, &k2).reference(1.0625).x_range(0.1, 0.0);
        let bwd = Panel::new("Backward process", "τ", "κ₂(τ) / κ₂(0)")
            .line("learned score", &t, &back)
            .line("exact score", &t, &k2)
            .x_range(1.0, 0.0)
            .inset(zoom, Corner::TopRight);
        let mom: Vec<f64> = k2.iter().map(|k| 1e7 * k.powi(4)).collect();
        let third = Panel::new("Eighth moment", "t", "μ₈(t)")
            .line("10⁷ trajectories", &t, &mom)
            .legend(Corner::TopLeft);
        Figure::grid(1, 3, vec![fwd, bwd, third]).save(&args.out().join("fig1.svg"))?;

        let edges: Vec<f64> = (0..=80).map(|i| -3.0 + 6.0 * i as f64 / 80.0).collect();
        let g = |x: f64, m: f64| (-(x - m).powi(2) * 8.0).exp() / (std::f64::consts::TAU / 16.0).sqrt();
        let p = |x: f64| 0.5 * (g(x, 1.0) + g(x, -1.0));
        let mut h = || {
            edges
                .windows(2)
                .map(|w| p(0.5 * (w[0] + w[1])) * (1.0 + 0.03 * noise(&mut s)))
                .collect::<Vec<f64>>()
        };
        let (a, b) = (h(), h());
        let x: Vec<f64> = (0..=600).map(|i| -3.0 + i as f64 / 100.0).collect();
        let y: Vec<f64> = x.iter().map(|&x| p(x)).collect();
        let log = Panel::new("Log axes", "step size", "|bias|")
            .markers("Euler–Maruyama", &[1e-3, 1e-2, 1e-1], &[1e-6, 1.1e-4, 0.9e-2], &[1e-7, 3e-5, 1e-3])
            .exact("slope 2", &[1e-3, 0.1], &[1e-6, 1e-2])
            .log_x()
            .log_y()
            .legend(Corner::TopLeft);
        let hist = Panel::new("Distribution", "x", "p(x)")
            .steps("Data", &edges, &a)
            .steps("Diffusion", &edges, &b)
            .exact("exact", &x, &y)
            .y_range(0.0, 1.1);
        Figure::grid(1, 2, vec![hist, log]).save(&args.out().join("fig3.svg"))?;

        let mut panels = vec![];
        for (k, name) in [(4, "κ₄"), (6, "κ₆"), (8, "κ₈")] {
            let mut panel = Panel::new(&format!("{name}, forward"), "t", &format!("{name}(t) / {name}(0)"));
            for (traj, label) in [(1e5f64, "10⁵ trajectories"), (1e6, "10⁶"), (1e7, "10⁷")] {
                let e: Vec<f64> = t
                    .iter()
                    .map(|&t| (1.06 + xi(t)).powi(k / 2) * f64::from(k).exp() / 40.0 / traj.sqrt())
                    .collect();
                let mut walk = 0.0;
                let y: Vec<f64> = e
                    .iter()
                    .map(|e| {
                        walk = 0.97 * walk + 0.24 * noise(&mut s);
                        1.0 + e * walk
                    })
                    .collect();
                panel = panel.line(label, &t, &y).band(&t, &y, &e);
            }
            panels.push(panel.reference(1.0).y_range(-1.0, 3.0).legend(Corner::BottomLeft));
        }
        for (k, name) in [(4, "κ₄"), (6, "κ₆"), (8, "κ₈")] {
            let mut panel = Panel::new(&format!("{name}, backward"), "τ", &format!("{name}(τ) / {name}(0)"));
            let mut zoom = Panel::new("", "", "").x_range(0.9, 1.0).y_range(0.9, 1.1);
            for label in ["learned score", "exact score"] {
                let e: Vec<f64> = t
                    .iter()
                    .map(|&t| (1.06 + xi(1.0 - t)).powi(k / 2) * f64::from(k).exp() / 40.0 / 1e3 + 0.005)
                    .collect();
                let mut walk = 0.0;
                let y: Vec<f64> = e
                    .iter()
                    .map(|e| {
                        walk = 0.97 * walk + 0.24 * noise(&mut s);
                        1.0 + e * walk
                    })
                    .collect();
                panel = panel.line(label, &t, &y).band(&t, &y, &e);
                zoom = zoom.line("", &t, &y).band(&t, &y, &e);
            }
            panels.push(
                panel.reference(1.0).y_range(-3.0, 4.0).inset(zoom.reference(1.0), Corner::BottomRight),
            );
        }
        Figure::grid(2, 3, panels).save(&args.out().join("fig4.svg"))?;
        let mut r = Results::new("demo", args.seed).setting("steps", 100);
        r.push(Row::new("kappa_2", "data", 1.0631, 0.0005).exact(1.0625).paper(1.0681));
        r.push(Row::new("kappa_8", "backward, learned score", -271.2, 2.3).exact(-272.0));
        r.write(args.out())?;
        r.print_table();
        let bar = Progress::new("forward process", 100, "trajectories");
        for _ in 0..20 {
            std::thread::sleep(std::time::Duration::from_millis(20));
            bar.advance(5);
        }
        bar.finish();
        Ok(())
    })
}
